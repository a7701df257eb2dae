use std::io::{BufRead, BufReader};

use crate::Nightjar;

#[test]
fn a_reader_that_leaves_is_no_error() {
    let nightjar = Nightjar::new();
    for format in ["csv", "json", "table"] {
        let sql = "SELECT * FROM generate_series(1, 1000000000)";
        let mut child = nightjar.command(&["sql", "--format", format, "-c", sql]).spawn().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        // The reader is dropped here, while rows without end are on their way.
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{format}");
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{format}");
        assert!(!first.is_empty(), "{format}");
    }
}

#[test]
fn help_into_a_closed_pipe_is_quiet() {
    let nightjar = Nightjar::new();
    let mut child = nightjar.command(&["reference"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_a_statement_with_130() {
    let nightjar = Nightjar::new();
    let sql = "SELECT 'begun' AS a; SELECT count(*) FROM generate_series(1, 100000000000) t(x) WHERE x % 7 = 1; SELECT 'after'";
    let mut child = nightjar.command(&["sql", "--format", "csv", "-c", sql]).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("begun") {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0);
    }
    std::thread::sleep(std::time::Duration::from_millis(500));
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "error: stopped\n");
}
