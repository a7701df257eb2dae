//! Names without quotes are tables, whatever lies in the working folder.

use std::fs;
use std::path::PathBuf;

use crate::{Nightjar, Ran};

/// Three rows in a folder `orders` of the working folder.
const ORDERS: &str = "COPY (VALUES (1), (2), (3)) TO 'orders/' STORED AS PARQUET";

fn csv(nightjar: &Nightjar, sql: &str) -> String {
    let ran = nightjar.run(&["-q", "sql", "--format", "csv", "-c", sql]);
    assert_eq!((ran.stderr.as_str(), ran.status), ("", Some(0)), "{sql}");
    ran.stdout
}

fn files(nightjar: &Nightjar) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(nightjar.path("orders")).unwrap();
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

fn refused(nightjar: &Nightjar, sql: &str) -> Ran {
    let ran = nightjar.run(&["-q", "sql", "-c", sql]);
    assert_eq!(ran.status, Some(1), "{sql}: {ran:?}");
    ran
}

#[test]
fn statements_over_an_unquoted_name_leave_a_folder_of_that_name_alone() {
    let nightjar = Nightjar::new().with_tiny_model();
    nightjar.sql(ORDERS);
    let before = files(&nightjar);
    assert_eq!(before.len(), 1);
    for sql in [
        "INSERT INTO orders VALUES (4)",
        "INSERT OVERWRITE orders VALUES (4)",
        "INSERT OVERWRITE Orders SELECT * FROM 'orders/'",
        "DELETE FROM orders",
        "UPDATE orders SET column1 = 2",
        "TRUNCATE TABLE orders",
        "SELECT * FROM orders",
        "SELECT * FROM 'orders' WHERE column1 IN (SELECT column1 FROM orders)",
        "COPY orders TO 'copy.csv'",
        "DESCRIBE orders",
        "EXPLAIN SELECT * FROM orders",
        "CREATE VIEW v AS SELECT * FROM orders",
        "CREATE MATERIALIZED VIEW v AS SELECT * FROM orders",
        "CREATE TABLE t AS SELECT * FROM orders",
        "CREATE JOB j SCHEDULE EVERY INTERVAL '1 day' AS INSERT INTO orders VALUES (4)",
        "CREATE MODEL m FROM tiny FINE_TUNE ON orders",
        "EVALUATE MODEL tiny ON orders",
        "DROP TABLE orders",
        "DROP VIEW orders",
    ] {
        let ran = refused(&nightjar, sql);
        if !sql.starts_with("DROP") {
            let hint =
                "hint: 'orders' is a file or folder here, and only a name in quotes is read as one: 'orders'";
            assert!(ran.stderr.contains(hint), "{sql}: {}", ran.stderr);
        }
        assert_eq!(files(&nightjar), before, "{sql}");
    }
    assert!(!nightjar.path("copy.csv").exists());
}

#[test]
fn a_table_may_bear_the_name_of_a_folder() {
    let nightjar = Nightjar::new();
    nightjar.sql(ORDERS);
    let before = files(&nightjar);
    // Each makes the table, and reads the folder only where it is in quotes.
    for (make, rows) in [
        ("CREATE TABLE orders AS SELECT 9 AS column1", "9\n"),
        ("CREATE TABLE IF NOT EXISTS orders AS SELECT 9 AS column1", "9\n"),
        ("CREATE OR REPLACE TABLE orders AS SELECT column1 FROM 'orders' WHERE column1 = 3", "3\n"),
        ("CREATE TABLE orders (column1 INT); INSERT INTO orders VALUES (8)", "8\n"),
        ("CREATE TEMPORARY TABLE orders AS SELECT 7 AS column1", "7\n"),
        ("CREATE VIEW orders AS SELECT column1 FROM 'orders' WHERE column1 = 2", "2\n"),
    ] {
        let found = csv(&nightjar, &format!("{make}; SELECT column1 FROM orders"));
        assert!(found.ends_with(&format!("column1\n{rows}")), "{make}: {found}");
        assert_eq!(files(&nightjar), before, "{make}");
    }
    // In quotes too the name is the table's now, by the view; the folder is there by its slash.
    assert_eq!(csv(&nightjar, "SELECT count(*) AS n FROM 'orders'"), "n\n1\n");
    assert_eq!(csv(&nightjar, "SELECT count(*) AS n FROM 'orders/'"), "n\n3\n");
    nightjar.sql("DROP VIEW orders");
    assert_eq!(files(&nightjar), before);
    nightjar.sql("INSERT INTO 'orders/' VALUES (4)");
    assert_eq!(csv(&nightjar, "SELECT count(*) AS n FROM \"orders\""), "n\n4\n");
    nightjar.sql("INSERT OVERWRITE 'orders/' VALUES (5)");
    assert_eq!(csv(&nightjar, "SELECT * FROM 'orders'"), "column1\n5\n");
}

#[test]
fn stored_names_keep_their_quotes() {
    let nightjar = Nightjar::new();
    nightjar.sql(ORDERS);
    nightjar.sql("CREATE EXTERNAL TABLE \"my/table\" STORED AS PARQUET LOCATION 'orders/'");
    nightjar.sql(
        "CREATE VIEW a AS SELECT count(*) AS n FROM 'orders';
         CREATE VIEW b AS SELECT count(*) AS n FROM \"orders/\";
         CREATE VIEW c AS SELECT count(*) AS n FROM \"my/table\" JOIN 'my/table' AS again USING (column1);
         CREATE MATERIALIZED VIEW d AS SELECT count(*) AS n FROM 'orders'",
    );
    // Another folder, where nothing of that name is.
    fs::create_dir(nightjar.path("elsewhere")).unwrap();
    let sql = "SELECT a.n, b.n, c.n, d.n FROM a, b, c, d";
    let mut command = nightjar.command(&["-q", "sql", "--format", "csv", "-c", sql]);
    let ran: Ran = command.current_dir(nightjar.path("elsewhere")).output().unwrap().into();
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("n,n,n,n\n3,3,3,3\n", ""));
}

#[test]
fn a_file_that_a_name_with_a_dot_may_mean_is_hinted_at() {
    let nightjar = Nightjar::new();
    nightjar.sql("COPY (SELECT 1 AS a) TO 'reviews.csv'");
    let ran = refused(&nightjar, "SELECT * FROM reviews.csv");
    assert_eq!(
        ran.stderr,
        "error: there is no schema 'reviews'\nhint: a file is named in quotes: 'reviews.csv'\n"
    );
}
