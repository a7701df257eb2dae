//! Queries whose files are replaced between planning and reading: on file systems and in buckets, here and on executors.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use futures::TryStreamExt;
use nightjar_engine::{Session, session_config};
use nightjar_errors::Failure;
use nightjar_tests::{Cluster, S3Server, TestStore, block_on, cells, values};

/// Makes a table of four files, each with rows that tell when they were written.
async fn table(session: &Session, name: &str, format: &str, folder: &str, each: usize) {
    let ddl = format!(
        "CREATE EXTERNAL TABLE {name} (id BIGINT, at VARCHAR) STORED AS {format} LOCATION '{folder}/{name}/'"
    );
    session.sql(&ddl).await.unwrap();
    for part in 0..4 {
        values(session, &format!("INSERT INTO {name} {}", rows(part * each, each, "before"))).await;
    }
}

fn rows(from: usize, count: usize, at: &str) -> String {
    format!("SELECT value, '{at}' FROM generate_series({}, {})", from + 1, from + count)
}

async fn overwrite(session: &Session, name: &str) {
    values(session, &format!("INSERT OVERWRITE {name} {}", rows(0, 100, "after"))).await;
}

/// One task after the other, so that nothing is opened before it is asked for.
fn lazy(store: &TestStore, server: &S3Server) -> Session {
    let store = store.open_with(server.object_stores()).unwrap();
    Session::new(store, session_config().with_target_partitions(1))
}

#[test]
fn a_query_that_has_given_no_row_is_planned_anew() {
    block_on(async {
        let (server, store) = (S3Server::start(), TestStore::new(71));
        server.bucket("lake");
        let here = lazy(&store, &server);
        let cluster = Cluster::start_with(&store.root(), server.environment(), 2).await;
        let there = cluster.session_on(store.open_with(server.object_stores()).unwrap()).await;
        let local = format!("file://{}", store.scratch().display());
        for (name, format, folder) in [
            ("parquet_here", "PARQUET", local.as_str()),
            ("csv_here", "CSV", &local),
            ("json_here", "JSON", &local),
            ("arrow_here", "ARROW", &local),
            ("parquet_lake", "PARQUET", "s3://lake"),
        ] {
            for session in [&here, &there] {
                table(&here, name, format, folder, 100).await;
                // The second column is text that no count is known of without reading.
                let sql = format!("SELECT at, count(*), sum(id) FROM {name} GROUP BY at");
                let query = session.sql(&sql).await.unwrap().execute_stream().await.unwrap();
                overwrite(&here, name).await;
                let read: Vec<_> =
                    query.try_collect().await.unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(cells(&read), [["after", "100", "5050"]], "{name}");
                // In a view too, and where it is joined with itself.
                let sql =
                    format!("CREATE OR REPLACE VIEW v AS SELECT a.at FROM {name} a JOIN {name} b USING (id)");
                session.sql(&sql).await.unwrap();
                let query = session.sql("SELECT at, count(*) FROM v GROUP BY at").await.unwrap();
                let query = query.execute_stream().await.unwrap();
                overwrite(&here, name).await;
                let read: Vec<_> =
                    query.try_collect().await.unwrap_or_else(|error| panic!("{name}: {error}"));
                assert_eq!(cells(&read), [["after", "100"]], "{name}");
                here.sql("DROP VIEW v").await.unwrap();
                here.sql(&format!("DROP TABLE {name}")).await.unwrap();
                let _ = std::fs::remove_dir_all(store.scratch().join(name));
                let _ = std::fs::remove_dir_all(server.bucket("lake").join(name));
            }
        }
    });
}

#[test]
fn a_folder_that_was_emptied_has_no_new_files() {
    block_on(async {
        let (server, store) = (S3Server::start(), TestStore::new(73));
        let here = lazy(&store, &server);
        let folder = format!("file://{}", store.scratch().display());
        table(&here, "t", "CSV", &folder, 100).await;
        let query = here.sql("SELECT count(at) FROM t").await.unwrap().execute_stream().await.unwrap();
        std::fs::remove_dir_all(store.scratch().join("t")).unwrap();
        let error = query.try_collect::<Vec<_>>().await.unwrap_err();
        let error = nightjar_engine::EngineError::from(error);
        let said = error.to_string();
        assert!(said.starts_with("the files of 't' were replaced while it was read: '"), "{said}");
        assert_eq!(error.hint().unwrap(), "run it again");
        assert!(error.retryable());
    });
}
