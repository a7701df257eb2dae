use std::fs;

use crate::Nightjar;

#[test]
fn stdin_is_a_script() {
    let nightjar = Nightjar::new();
    let expected = "{\"a\":1}\n{\"a\":2}\n";
    let script = b"-- two\nSELECT 1 AS a;\nSELECT 2 AS a";
    for args in
        [&["--format", "json"][..], &["sql", "--format", "json"], &["sql", "-f", "-", "--format", "json"]]
    {
        let ran = nightjar.run_with(args, script);
        assert_eq!((ran.stdout.as_str(), ran.status), (expected, Some(0)), "{args:?}: {}", ran.stderr);
    }
    let empty = nightjar.run_with(&[], b" -- nothing\n;");
    assert_eq!((empty.stdout.as_str(), empty.stderr.as_str(), empty.status), ("", "", Some(0)));
}

#[test]
fn commands_and_files_run_in_the_order_given() {
    let nightjar = Nightjar::new();
    fs::write(nightjar.path("a.sql"), "\u{feff}SELECT 'file' AS a").unwrap();
    let ran = nightjar.run(&[
        "sql",
        "-c",
        "SELECT 'first' AS a",
        "-f",
        "a.sql",
        "-c",
        "SELECT 'last' AS a",
        "--format",
        "json",
    ]);
    assert_eq!(ran.stdout, "{\"a\":\"first\"}\n{\"a\":\"file\"}\n{\"a\":\"last\"}\n");
}

#[test]
fn sql_on_the_command_line_may_begin_with_a_comment() {
    let nightjar = Nightjar::new();
    let ran = nightjar.run(&["sql", "-c", "-- the answer\nSELECT 42 AS a", "--format", "json"]);
    assert_eq!(ran.stdout, "{\"a\":42}\n", "{}", ran.stderr);
}

#[test]
fn the_first_error_stops_a_script() {
    let nightjar = Nightjar::new();
    let ran =
        nightjar.run_with(&["--format", "json"], b"SELECT 1 AS a;\nSELECT * FROM nowhere;\nSELECT 3 AS a");
    assert_eq!((ran.stdout.as_str(), ran.status), ("{\"a\":1}\n", Some(1)));
    assert!(
        ran.stderr.contains("nowhere") && ran.stderr.contains("in: stdin, line 2: SELECT * FROM nowhere"),
        "{}",
        ran.stderr
    );
    // An error in the rows, after the header has been printed.
    let ran = nightjar.run(&[
        "sql",
        "-c",
        "SELECT 1 / (x - 1) AS a FROM generate_series(1, 2) t(x); SELECT 3 AS a",
    ]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains("error: ") && !ran.stdout.contains('3'), "{ran:?}");
}

#[test]
fn a_script_that_does_not_parse_is_not_begun() {
    let nightjar = Nightjar::new();
    let ran = nightjar.run(&["sql", "-c", "CREATE VIEW v AS SELECT 1 AS a", "-c", "SELEC 2"]);
    assert_eq!((ran.stdout.as_str(), ran.status), ("", Some(1)));
    assert_eq!(nightjar.run(&["sql", "-c", "SELECT * FROM v"]).status, Some(1));
}

#[test]
fn views_and_models_outlive_the_process_and_stores_are_apart() {
    let nightjar = Nightjar::new();
    nightjar.sql("CREATE VIEW v AS SELECT 42 AS answer");
    assert!(nightjar.sql("SELECT * FROM v").contains("42"));
    assert!(nightjar.path("store").join("catalog.sqlite").exists());
    let other = nightjar.path("other");
    let args = ["--store", other.to_str().unwrap(), "sql", "-c", "SELECT * FROM v"];
    assert_eq!(nightjar.run(&args).status, Some(1));
    assert!(other.exists());
}
