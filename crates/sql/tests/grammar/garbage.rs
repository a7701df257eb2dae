//! Any text is parsed or refused, and never brings the parser down.

use nightjar_sql::{STATEMENTS, is_complete, parse_statements};
use proptest::prelude::*;

/// Pieces of statements, of ours and of SQL.
const PIECES: &[&str] = &[
    "CREATE",
    "OR REPLACE",
    "MODEL",
    "IF NOT EXISTS",
    "FROM",
    "FINE_TUNE",
    "FINE",
    "TUNE",
    "ON",
    "TARGET",
    "VALIDATE",
    "WITH",
    "ALTER",
    "SET",
    "DEFAULT",
    "VERSION",
    "RENAME",
    "TO",
    "DROP",
    "IF EXISTS",
    "SHOW",
    "MODELS",
    "VERSIONS",
    "TRAINING",
    "OF",
    "DESCRIBE",
    "EVALUATE",
    "EXPLAIN",
    "ANALYZE",
    "SELECT",
    "TABLE",
    "COPY",
    "name",
    "name@3",
    "@",
    "@@",
    "@3",
    "\"q\"",
    "'s'",
    "''",
    "\"\"",
    "`b`",
    "(",
    ")",
    ",",
    "=",
    "-",
    "1",
    "1.5e3",
    "0x",
    ".",
    "*",
    ";",
    "--\n",
    "/*",
    "*/",
    "$$",
    "$1",
    "'",
    "\"",
    "é",
    "\u{0}",
    "\n",
    "E'\\",
    "::",
    "[",
    "{",
];

fn check(sql: &str) {
    is_complete(sql);
    match parse_statements(sql) {
        Ok(statements) => {
            statements.iter().for_each(|statement| assert!(!statement.sql.is_empty(), "{sql:?}"))
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

#[test]
fn a_statement_that_is_read_to_the_end_of_the_script_has_its_text() {
    let statements = parse_statements("SELECT 1; FROM @").unwrap();
    assert_eq!(statements[1].sql, "FROM @");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn soup(pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..16), gap in "[ ]?") {
        check(&pieces.join(&gap));
    }

    #[test]
    fn soup_after_a_beginning(
        kind in proptest::sample::select(STATEMENTS),
        cut in any::<proptest::sample::Index>(),
        pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..8),
    ) {
        let words: Vec<&str> = kind.example.split(' ').collect();
        let begin = words[..cut.index(words.len()) + 1].join(" ");
        check(&format!("{begin} {}", pieces.join(" ")));
    }

    #[test]
    fn any_text(sql in "(?s).{0,40}") {
        check(&sql);
    }
}

#[test]
fn deep_nesting_is_refused_or_read() {
    for depth in [10, 100, 10_000] {
        let (open, close) = ("(".repeat(depth), ")".repeat(depth));
        check(&format!("CREATE MODEL m FINE_TUNE ON {open}SELECT 1{close}"));
        check(&format!("CREATE MODEL m FINE_TUNE ON (SELECT {open}1{close})"));
        check(&format!("{} CREATE MODEL m", "EXPLAIN ".repeat(depth)));
        check(&format!("{} SELECT 1", "EXPLAIN ANALYZE FORMAT tree ".repeat(depth)));
        check(&format!("{} SELECT 1", "EXPLAIN (ANALYZE) ".repeat(depth)));
        check(&format!("EVALUATE MODEL {} ON t", "a.".repeat(depth)));
        check(&format!("CREATE MODEL m WITH (a = {}1)", "-".repeat(depth)));
    }
}
