//! The grammar of the statements: what is ours and what is not, what prints back, and what errors say.

// A test stops at the first surprise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod capture;
mod errors;
mod garbage;
mod round_trip;

use nightjar_sql::{Parsed, ParsedStatement, Statement, parse_statements};

/// The one statement of this text.
fn parse_one(sql: &str) -> ParsedStatement {
    let mut statements = parse_statements(sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    assert_eq!(statements.len(), 1, "{sql}");
    statements.remove(0)
}

/// The one statement of this text, which must be one of ours.
fn parse_ours(sql: &str) -> Box<dyn Statement> {
    match parse_one(sql).parsed {
        Parsed::Nightjar(statement) => statement,
        Parsed::Sql(statement) => panic!("{sql} is DataFusion's {statement:?}"),
    }
}
