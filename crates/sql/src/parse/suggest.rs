//! What a mistyped statement was probably meant to be.

use datafusion_sql::sqlparser::parser::Parser;
use datafusion_sql::sqlparser::tokenizer::Token;
use strsim::osa_distance;

use crate::parse::grammar::word_at;
use crate::statement::StatementKind;

/// The words a statement begins with: as many as the longest of our statements' names needs.
const HEAD_WORDS: usize = 6;

/// The letters two words share at their start to be forms of one word: VALIDATE and VALIDATION.
const SHARED_STEM: usize = 6;

/// The unquoted words at the start of the next statement, in capitals.
pub(crate) fn head(parser: &Parser<'_>) -> Vec<String> {
    (0..HEAD_WORDS).map_while(|n| word_at(parser, n)).collect()
}

/// A hint for a statement that DataFusion refused, if it looks like one of these, which are ours.
pub(crate) fn statement(head: &[String], statements: &[&StatementKind]) -> Option<String> {
    let words: Vec<&str> = head.iter().map(String::as_str).collect();
    if words.first() == Some(&"EXPLAIN") && words[1..].windows(2).any(|pair| pair == ["CREATE", "MODEL"]) {
        return Some(
            "EXPLAIN CREATE MODEL takes neither ANALYZE nor VERBOSE, and trains nothing".to_string(),
        );
    }
    let words = without_or_replace(&words);
    let named = statements.iter().map(|kind| kind.name).find(|name| {
        let name: Vec<&str> = name.split(' ').collect();
        words.len() >= name.len()
            && name != words[..name.len()]
            && name.iter().zip(&words).all(|(a, b)| alike(a, b))
    })?;
    Some(format!("did you mean {named}?"))
}

/// The keyword or clause of `expected` that the next tokens were probably meant to be.
pub(crate) fn clause<'a>(parser: &Parser<'_>, expected: &[&'a str]) -> Option<&'a str> {
    let word = word_at(parser, 0)?;
    let candidates =
        expected.iter().filter(|clause| clause.starts_with(|first: char| first.is_ascii_uppercase()));
    // FINE TUNE and FINE-TUNE are how the words are written outside SQL.
    let spelt = if word == "FINE" {
        let n = if parser.peek_nth_token_ref(1).token == Token::Minus { 2 } else { 1 };
        format!("FINE_{}", word_at(parser, n).unwrap_or_default())
    } else {
        word
    };
    let distance = |clause: &str| osa_distance(clause.split(' ').next().unwrap_or(clause), &spelt);
    let nearest = candidates.copied().min_by_key(|clause| distance(clause))?;
    alike(nearest.split(' ').next()?, &spelt).then_some(nearest)
}

/// Whether one keyword is probably the other mistyped: one slip in a short word, two in a longer one, or another form
/// of the same word.
fn alike(keyword: &str, typed: &str) -> bool {
    let slips = if keyword.len() <= 4 { 1 } else { 2 };
    let shared = keyword.chars().zip(typed.chars()).take_while(|(a, b)| a == b).count();
    osa_distance(keyword, typed) <= slips || shared >= SHARED_STEM
}

fn without_or_replace<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let at = words.windows(2).position(|pair| pair == ["OR", "REPLACE"]);
    match at {
        Some(at) => words[..at].iter().chain(&words[at + 2..]).copied().collect(),
        None => words.to_vec(),
    }
}
