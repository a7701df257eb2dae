use std::fs;

use crate::Nightjar;

fn error(sql: &str) -> String {
    let ran = Nightjar::new().run(&["sql", "-c", sql]);
    assert_eq!((ran.stdout.as_str(), ran.status), ("", Some(1)), "{sql}");
    ran.stderr
}

#[test]
fn a_syntax_error_is_shown_in_its_line() {
    insta::assert_snapshot!(error("SELECT 1;\nCREATE MODEL m\n  FINETUNE ON t"), @"
    error: syntax error at line 3, column 3: expected FROM, FINE_TUNE ON, WITH or the end of the statement, found FINETUNE
      |
    3 |   FINETUNE ON t
      |   ^
    hint: did you mean FINE_TUNE ON?
    ");
    insta::assert_snapshot!(error("SELECT 'abc"), @"
    error: syntax error at line 1, column 8: unterminated string literal
      |
    1 | SELECT 'abc
      |        ^
    ");
}

#[test]
fn an_unknown_model_brings_a_hint() {
    insta::assert_snapshot!(error("DESCRIBE MODEL sentiment"), @"
    error: there is no model 'sentiment'
    hint: SHOW MODELS lists the models
    ");
}

#[test]
fn errors_stay_off_stdout_in_json() {
    let ran = Nightjar::new().run(&["sql", "--format", "json", "-c", "SELECT nothing"]);
    assert_eq!((ran.stdout.as_str(), ran.status), ("", Some(1)));
    assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
}

#[test]
fn a_script_that_is_no_text_is_located() {
    let nightjar = Nightjar::new();
    fs::write(nightjar.path("latin1.sql"), b"SELECT 1;\nSELECT 'caf\xe9'").unwrap();
    let ran = nightjar.run(&["sql", "-f", "latin1.sql"]);
    assert_eq!((ran.stdout.as_str(), ran.status), ("", Some(1)));
    insta::assert_snapshot!(ran.stderr, @"
    error: 'latin1.sql' is not UTF-8: byte 0xe9 at line 2, column 12
    hint: save the script as UTF-8, for example with iconv -f latin1 -t utf-8
    ");
    let missing = nightjar.run(&["sql", "-f", "missing.sql"]);
    assert_eq!(missing.status, Some(1));
    assert!(missing.stderr.starts_with("error: can't read 'missing.sql': "), "{}", missing.stderr);
}

#[test]
fn data_that_is_no_text_is_an_error_and_no_panic() {
    let nightjar = Nightjar::new();
    fs::write(nightjar.path("latin1.csv"), b"a\ncaf\xe9\n").unwrap();
    let ran = nightjar.run(&["sql", "-c", "SELECT * FROM 'latin1.csv'"]);
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(ran.stderr.starts_with("error: ") && !ran.stderr.contains("panicked"), "{}", ran.stderr);
}

#[test]
fn wrong_usage_is_two() {
    let nightjar = Nightjar::new();
    for args in
        [&["sqll"][..], &["sql", "--format", "xml", "-c", "SELECT 1"], &["sql", "-c"], &["model", "pull"]]
    {
        let ran = nightjar.run(args);
        assert_eq!((ran.stdout.as_str(), ran.status), ("", Some(2)), "{args:?}");
    }
}

#[test]
fn a_store_of_another_kind_is_refused() {
    let ran = Nightjar::new().run(&["--store", "gs://bucket/x", "sql", "-c", "SELECT 1"]);
    assert_eq!(ran.status, Some(1));
    insta::assert_snapshot!(ran.stderr, @"
    error: the store 'gs://bucket/x' is not supported: its scheme is 'gs'
    hint: use a directory, a file:///absolute/path URI, or s3://bucket/prefix
    ");
}

#[test]
fn a_cluster_that_is_not_there_is_not_healthy() {
    let nightjar = Nightjar::new();
    let ran = nightjar.run(&["health", "--cluster", "127.0.0.1:1", "--executor", "127.0.0.1:2"]);
    assert_eq!((ran.stdout.as_str(), ran.status), ("", Some(1)));
    assert!(ran.stderr.starts_with("error: no scheduler answers at 127.0.0.1:1: "), "{}", ran.stderr);
    // It is asked every few seconds.
    assert!(!nightjar.path("store").exists());
    let ran = nightjar.run(&["health", "--executor", "http://executor-1"]);
    assert_eq!((ran.stdout.as_str(), ran.status), ("", Some(2)));
}
