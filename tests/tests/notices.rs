//! Who is told of failed runs, with the very binary: commands and URLs that are hostile, silent, or fail.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(unix)]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use nightjar_tests::JobPlace;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

const PATIENCE: Duration = Duration::from_secs(60);

/// A server on a port of its own that answers each request in turn with one of the statuses, or not at all, and tells of each what was
/// posted; after the last one it answers 204. Returns its address.
fn listener(answers: Vec<Option<u16>>) -> (String, Receiver<serde_json::Value>) {
    listen(answers, Some)
}

/// As [`listener`], over what `open` makes of a connection; one of which it makes nothing is none.
fn listen<S: Read + Write + Send + 'static>(
    answers: Vec<Option<u16>>,
    open: impl Fn(TcpStream) -> Option<S> + Send + 'static,
) -> (String, Receiver<serde_json::Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut answers = answers.into_iter();
        let mut silent = Vec::new();
        for stream in listener.incoming() {
            let Some(mut stream) = open(stream.unwrap()) else { continue };
            let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
            let body = loop {
                let text = String::from_utf8_lossy(&read);
                if let Some((head, body)) = text.split_once("\r\n\r\n") {
                    let head = head.to_ascii_lowercase();
                    assert!(
                        head.starts_with("post /hooks/secret http/1.1") && head.contains("application/json"),
                        "{head}"
                    );
                    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
                    if body.len() >= length.parse().unwrap() {
                        break body.to_owned();
                    }
                }
                let count = stream.read(&mut buffer).unwrap();
                assert!(count > 0, "half a request: {text}");
                read.extend_from_slice(&buffer[..count]);
            };
            match answers.next().unwrap_or(Some(204)) {
                Some(status) => {
                    let answer = format!(
                        "HTTP/1.1 {status} Whatever\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    );
                    stream.write_all(answer.as_bytes()).unwrap();
                    stream.flush().unwrap();
                }
                None => silent.push(stream),
            }
            if sender.send(serde_json::from_str(&body).unwrap()).is_err() {
                return;
            }
        }
    });
    (address, receiver)
}

/// What would run or break something if it were ever taken for more than a text.
const HOSTILE: &str = "$(touch pwned)`touch pwned`'; touch pwned; \"\\ {} \u{202e}é";

/// Makes a job that fails with [`HOSTILE`] in its error, and asks for a run.
fn failing_job(place: &JobPlace, name: &str, on_failure: &str) {
    std::fs::write(place.path().join("hostile.csv"), format!("a\n\"{}\"\n", HOSTILE.replace('"', "\"\"")))
        .unwrap();
    let name = format!("\"{}\"", name.replace('"', "\"\""));
    place.sql(&format!(
        "CREATE JOB {name} SCHEDULE CRON '@yearly' WITH (retries = 0, on_failure = '{}') AS \
         SELECT CAST(a AS INT) FROM 'hostile.csv'; RUN JOB {name}",
        on_failure.replace('\'', "''")
    ));
}

fn assert_failed(document: &serde_json::Value, job: &str) {
    assert_eq!(
        (document["job"].as_str(), document["status"].as_str()),
        (Some(job), Some("failed")),
        "{document}"
    );
    assert_eq!((document["run_id"].as_i64(), document["attempts"].as_i64()), (Some(1), Some(1)));
    assert!(document["error"].as_str().unwrap().contains(HOSTILE), "{document}");
    for time in ["scheduled_at", "started_at", "finished_at"] {
        assert!(document[time].as_str().unwrap().ends_with("+00:00"), "{document}");
    }
}

#[test]
fn a_url_is_told_again_until_it_answers() {
    let place = JobPlace::new();
    let (address, told) = listener(vec![Some(500), Some(503)]);
    failing_job(&place, HOSTILE, &format!("http://{address}/hooks/secret"));
    let daemon = place.serve();
    for _ in 0..3 {
        assert_failed(&told.recv_timeout(PATIENCE).unwrap(), HOSTILE);
    }
    place.wait_for("told", |_| place.all_are_told());
    let log = place.sql("SHOW LOG OF RUN 1");
    assert_eq!((log.matches("could not be told").count(), log.matches("was told").count()), (2, 1), "{log}");
    assert!(log.contains("500") && !log.contains("secret"), "{log}");
    // What one pass could not tell, the next one does.
    place.terminate(daemon);
    let (address, told) = listener(vec![Some(500)]);
    failing_job(&place, "other", &format!("http://{address}/hooks/secret"));
    for _ in 0..2 {
        place.command(&["jobs", "run-due"]).output().unwrap();
        assert_eq!(told.recv_timeout(PATIENCE).unwrap()["job"], "other");
    }
    assert!(place.all_are_told() && !place.path().join("pwned").exists());
}

/// A certificate for `localhost` that nobody but its maker vouches for, and its key.
fn tls_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/server/tests/tls").join(name)
}

#[test]
fn a_url_of_https_is_told_if_this_machine_trusts_it() {
    let key = PrivateKeyDer::from_pem_file(tls_file("key.pem")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from_pem_file(tls_file("cert.pem")).unwrap()], key);
    let config = Arc::new(config.unwrap());
    let (address, told) = listen(vec![Some(500)], move |mut stream| {
        let mut connection = ServerConnection::new(Arc::clone(&config)).ok()?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream).ok()?;
        }
        Some(StreamOwned::new(connection, stream))
    });
    let place = JobPlace::new();
    let port = address.rsplit_once(':').unwrap().1;
    failing_job(&place, "j", &format!("https://localhost:{port}/hooks/secret"));
    place.command(&["jobs", "run-due"]).output().unwrap();
    let log = place.sql("SHOW LOG OF RUN 1");
    assert!(log.contains("could not be told") && log.contains("certificate"), "{log}");
    for _ in 0..2 {
        let mut pass = place.command(&["jobs", "run-due"]);
        pass.env("SSL_CERT_FILE", tls_file("cert.pem")).output().unwrap();
        assert_failed(&told.recv_timeout(PATIENCE).unwrap(), "j");
    }
    assert!(place.all_are_told());
}

#[test]
fn who_is_to_be_told_is_told_by_the_next_daemon_too() {
    let place = JobPlace::new();
    let (address, told) = listener(vec![None]);
    failing_job(&place, "j", &format!("http://{address}/hooks/secret"));
    let mut daemon = place.serve();
    told.recv_timeout(PATIENCE).unwrap();
    // It was asked, and has not said that it heard.
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert!(!place.all_are_told());
    let daemon = place.serve();
    assert_failed(&told.recv_timeout(PATIENCE).unwrap(), "j");
    place.wait_for("told", |_| place.all_are_told());
    place.terminate(daemon);
    assert!(told.try_recv().is_err(), "once it has heard it is left alone");
}

#[test]
fn who_does_not_answer_keeps_nobody_waiting() {
    let place = JobPlace::new();
    let (silent, asked) = listener(vec![None]);
    failing_job(&place, "silent", &format!("http://{silent}/hooks/secret"));
    let daemon = place.serve();
    asked.recv_timeout(PATIENCE).unwrap();
    let (address, told) = listener(vec![Some(500)]);
    failing_job(&place, "other", &format!("http://{address}/hooks/secret"));
    for _ in 0..2 {
        // Long before whoever is silent is given up.
        assert_eq!(told.recv_timeout(Duration::from_secs(15)).unwrap()["job"], "other");
    }
    place.terminate(daemon);
}

#[test]
fn a_command_gets_what_failed_as_a_text() {
    let place = JobPlace::new();
    // The first time it fails after it has read all.
    failing_job(
        &place,
        HOSTILE,
        "cat >> told.json && echo >> told.json && test -e again || { touch again; echo no >&2; exit 3; }",
    );
    let daemon = place.serve();
    place.wait_for("told", |runs| runs.iter().all(|run| run.status == "failed") && place.all_are_told());
    place.terminate(daemon);
    let told = std::fs::read_to_string(place.path().join("told.json")).unwrap();
    assert_eq!(told.lines().count(), 2, "{told}");
    for document in told.lines() {
        assert_failed(&serde_json::from_str(document).unwrap(), HOSTILE);
    }
    let log = place.sql("SHOW LOG OF RUN 1");
    assert!(log.contains("exit status: 3: no") && log.contains("was told"), "{log}");
    assert!(!place.path().join("pwned").exists());
}
