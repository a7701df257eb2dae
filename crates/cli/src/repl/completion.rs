//! Completion: what could be meant by the word before the cursor.

use std::collections::BTreeSet;
use std::sync::Arc;

use nightjar_engine::Session;
use nightjar_functions::registry;
use nightjar_sql::{completion_words, quote_identifier};
use parking_lot::RwLock;
use rustyline::completion::{Completer, FilenameCompleter, Pair};
use rustyline::{Context, Helper, Highlighter, Hinter, Validator};

/// The words of SQL that people type most; our own statements bring theirs.
const SQL_WORDS: &[&str] = &[
    "ALL",
    "AND",
    "AS",
    "ASC",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "COPY",
    "CREATE",
    "CROSS JOIN",
    "DELETE",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "DROP",
    "ELSE",
    "END",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "EXPLAIN ANALYZE",
    "EXTERNAL TABLE",
    "FILTER",
    "FROM",
    "FULL JOIN",
    "GROUP BY",
    "HAVING",
    "IF",
    "ILIKE",
    "IN",
    "INNER JOIN",
    "INSERT INTO",
    "INTERSECT",
    "INTERVAL",
    "IS",
    "JOIN",
    "LATERAL",
    "LEFT JOIN",
    "LIKE",
    "LIMIT",
    "LOCATION",
    "NOT",
    "NULL",
    "OFFSET",
    "ON",
    "OR",
    "ORDER BY",
    "OVER",
    "PARTITION BY",
    "REPLACE",
    "RIGHT JOIN",
    "SELECT",
    "SET",
    "SHOW",
    "SHOW TABLES",
    "STORED AS",
    "TABLE",
    "THEN",
    "TO",
    "UNION ALL",
    "UNNEST",
    "USING",
    "VALUES",
    "VIEW",
    "WHEN",
    "WHERE",
    "WITH",
];

/// Functions of SQL that people type most; the others are in `SHOW FUNCTIONS`.
const SQL_FUNCTIONS: &[&str] = &[
    "array_length",
    "avg",
    "character_length",
    "coalesce",
    "concat",
    "count",
    "date_trunc",
    "lower",
    "max",
    "min",
    "now",
    "random",
    "regexp_like",
    "replace",
    "round",
    "row_number",
    "split_part",
    "substr",
    "sum",
    "trim",
    "upper",
];

/// The most tables whose columns are looked up after each statement.
const TABLES_LOOKED_INTO: usize = 50;

/// The names of the session, kept up to date behind the prompt's back.
#[derive(Clone, Default)]
pub(super) struct Words(Arc<RwLock<BTreeSet<String>>>);

impl Words {
    /// Reads tables, columns and models anew, in the background: a slow disk must not hold up typing.
    pub(super) fn refresh(&self, session: &Session) {
        let (words, session) = (self.clone(), session.clone());
        tokio::spawn(async move {
            let names = names(&session).await;
            *words.0.write() = names;
        });
    }
}

async fn names(session: &Session) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for model in session.store().catalog().models().unwrap_or_default() {
        names.insert(quote_identifier(&model.name));
    }
    let context = session.context();
    let default = context.copied_config().options().catalog.default_schema.clone();
    let catalogs = context.catalog_names().into_iter().filter_map(|name| context.catalog(&name));
    let schemas = catalogs.flat_map(|catalog| {
        let names = catalog.schema_names().into_iter().filter(|name| name != "information_schema");
        names.filter_map(|name| Some((catalog.schema(&name)?, name))).collect::<Vec<_>>()
    });
    let mut tables = Vec::new();
    for (schema, schema_name) in schemas {
        for table in schema.table_names() {
            let shown = quote_identifier(&table);
            names.insert(if schema_name == default { shown } else { format!("{schema_name}.{shown}") });
            tables.push((Arc::clone(&schema), table));
        }
    }
    for (schema, table) in tables.into_iter().take(TABLES_LOOKED_INTO) {
        // A table that can't be read has no columns to offer.
        if let Ok(Some(table)) = schema.table(&table).await {
            names.extend(table.schema().fields().iter().map(|field| quote_identifier(field.name())));
        }
    }
    names
}

/// Completes SQL, and file names within quotes.
#[derive(Helper, Hinter, Highlighter, Validator)]
pub(super) struct SqlCompleter {
    words: Words,
    files: FilenameCompleter,
}

impl SqlCompleter {
    pub(super) fn new(words: Words) -> Self {
        Self { words, files: FilenameCompleter::new() }
    }
}

impl Completer for SqlCompleter {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = line.get(..pos).unwrap_or_default();
        let words = self.words.0.read();
        let (start, mut found) = candidates(before, &words);
        // Within quotes stands a file, or a model's name.
        if in_quotes(before) {
            let (start_of_path, files) = self.files.complete(line, pos, context)?;
            if !files.is_empty() {
                return Ok((start_of_path, files));
            }
            found.retain(|word| words.contains(word));
        }
        let pair = |word: String| Pair { display: word.clone(), replacement: word };
        Ok((start, found.into_iter().map(pair).collect()))
    }
}

fn in_quotes(before: &str) -> bool {
    before.matches('\'').count() % 2 == 1
}

/// Returns where the word before the cursor begins, and what it could become, names first.
fn candidates(before: &str, names: &BTreeSet<String>) -> (usize, Vec<String>) {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '\\' | '"' | '-');
    let start = before
        .rfind(|c| !is_word(c))
        .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    let typed = &before[start..];
    if typed.is_empty() {
        return (start, Vec::new());
    }
    let lower = typed.to_lowercase();
    let begins = |word: &str| word.to_lowercase().starts_with(&lower);
    let mut found: Vec<String> = names.iter().filter(|name| begins(name)).cloned().collect();
    let functions = registry::docs().map(|doc| doc.name).chain(SQL_FUNCTIONS.iter().copied());
    found.extend(functions.filter(|name| begins(name)).map(|name| format!("{name}(")));
    // Keywords come in the case that is being typed.
    let small = typed.chars().any(char::is_lowercase);
    let mut keywords: Vec<&str> = completion_words();
    keywords.extend(SQL_WORDS);
    for keyword in keywords.into_iter().filter(|keyword| begins(keyword)) {
        let keyword = if small { keyword.to_lowercase() } else { keyword.to_owned() };
        if !found.contains(&keyword) {
            found.push(keyword);
        }
    }
    (start, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completes_names_functions_and_keywords() {
        let names = BTreeSet::from(["reviews".to_owned(), "nightjar.models".to_owned(), "rating".to_owned()]);
        let of = |before: &str| candidates(before, &names);
        assert_eq!(of("SELECT count_tok"), (7, vec!["count_tokens(".to_owned()]));
        assert_eq!(of("select * from rev").1, ["reviews"]);
        assert_eq!(of("FROM nightjar.mo").1, ["nightjar.models"]);
        assert_eq!(of("SELECT 1 WHE").1, ["WHEN", "WHERE"]);
        assert_eq!(of("fine").1, ["fine_tune"]);
        assert_eq!(of("SELECT ").1, Vec::<String>::new());
        assert_eq!(of("é reviews, rat"), (12, vec!["rating".to_owned()]));
    }

    #[test]
    fn quotes_pair_up() {
        assert!(in_quotes("SELECT * FROM '/tmp/a") && !in_quotes("SELECT 'a' FROM "));
    }
}
