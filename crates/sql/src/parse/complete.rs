//! Whether what has been typed so far is a whole statement.

use datafusion_sql::sqlparser::dialect::GenericDialect;
use datafusion_sql::sqlparser::tokenizer::{Token, Tokenizer};

/// How the tokenizer's messages begin when it is the end of the text that came too early.
const UNFINISHED: &[&str] =
    &["Unterminated", "Expected close delimiter", "Expected nested delimiter", "Unexpected EOF"];

/// Whether a prompt can run this text: it ends in a semicolon outside quotes and comments.
///
/// True too of a text with nothing in it but blanks and comments, and of one that ends in a semicolon and that no
/// further line can mend: the parser then says what is wrong.
pub fn is_complete(sql: &str) -> bool {
    match Tokenizer::new(&GenericDialect {}, sql).tokenize() {
        Ok(tokens) => {
            let last = tokens.iter().rev().find(|token| !matches!(token, Token::Whitespace(_)));
            matches!(last, None | Some(Token::SemiColon))
        }
        Err(error) => {
            let unfinished = UNFINISHED.iter().any(|start| error.message.starts_with(start));
            !unfinished && sql.trim_end().ends_with(';')
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_complete;

    #[test]
    fn complete() {
        for sql in [
            "",
            "  \n",
            "-- a comment\n",
            "/* a; comment */",
            ";",
            "SELECT 1;",
            "SELECT 1; -- done",
            "SELECT ';';\n",
            "SELECT 1; SELECT 2;",
            "SELECT \"a;b\" FROM t /* ; */ ;",
            "SELECT $$ ; $$;",
            "SELECT 'it''s';",
            "SHOW MODELS;",
        ] {
            assert!(is_complete(sql), "{sql:?}");
        }
    }

    #[test]
    fn incomplete() {
        for sql in [
            "SELECT 1",
            "SELECT 1; SELECT 2",
            "SELECT ';",
            "SELECT 'it''s;",
            "SELECT \"a;",
            "SELECT `a;",
            "SELECT 1 -- ;",
            "SELECT 1 /* ;",
            "SELECT /* /* nested */ ;",
            "SELECT $$ ;",
            "SELECT $tag$ ; $$ ;",
            "SELECT E'\\';",
            "CREATE MODEL m FROM 'x'\n  FINE_TUNE ON (SELECT 1",
        ] {
            assert!(!is_complete(sql), "{sql:?}");
        }
    }
}
