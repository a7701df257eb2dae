//! What differs from run to run or from machine to machine, made the same: paths, digests, the numbers of generated
//! columns, times, vectors, the fidelity of precisions.

use std::collections::HashMap;
use std::path::PathBuf;

/// Folders and the names that stand for them in slt files, such as `$TINY`.
#[derive(Debug, Clone, Default)]
pub struct Places(pub Vec<(&'static str, PathBuf)>);

impl Places {
    /// Returns a statement with the names replaced by the folders.
    pub fn fill(&self, sql: &str) -> String {
        self.0.iter().fold(sql.to_owned(), |sql, (name, path)| sql.replace(name, &path.to_string_lossy()))
    }

    /// Returns an output with the folders replaced by the names; plans show paths without the first slash too.
    pub fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, path)| {
            let path = path.to_string_lossy();
            text.replace(&*path, name).replace(path.trim_start_matches('/'), name)
        })
    }
}

/// Returns the cells of a whole result with everything that differs from run to run made the same.
pub fn normalise(places: &Places, rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let mut numbers = HashMap::new();
    let mut cell = |cell: String| metrics(&vectors(&digests(&generated(&places.hide(&cell), &mut numbers))));
    let row = |row: Vec<String>| fidelity(row.into_iter().map(&mut cell).collect());
    rows.into_iter().map(row).collect()
}

/// Every run of 64 hexadecimal digits as `<digest>`.
fn digests(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run = String::new();
    for c in text.chars().chain(['\0']) {
        if c.is_ascii_digit() || ('a'..='f').contains(&c) {
            run.push(c);
            continue;
        }
        out.push_str(if run.len() == 64 { "<digest>" } else { &run });
        run.clear();
        if c != '\0' {
            out.push(c);
        }
    }
    out
}

/// Generated columns (`__infer_17`, `__common_expr_4`) numbered by their first appearance in the result.
fn generated(text: &str, numbers: &mut HashMap<String, usize>) -> String {
    ["__infer_", "__common_expr_"].iter().fold(text.to_owned(), |text, prefix| {
        let mut parts = text.split(prefix);
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let next = numbers.keys().filter(|known| known.starts_with(prefix)).count() + 1;
            let number = numbers.entry(format!("{prefix}{}", &part[..digits])).or_insert(next);
            out.push_str(&format!("{prefix}{number}{}", &part[digits..]));
        }
        out
    })
}

/// Lists of many numbers as `[<vector>]`: their last digits depend on the instruction set.
fn vectors(text: &str) -> String {
    const MANY: usize = 16;
    let is_vector = |inner: &str| {
        inner.split(", ").count() >= MANY && inner.split(", ").all(|number| number.parse::<f64>().is_ok())
    };
    let mut parts = text.split('[');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(']') {
            Some((inner, after)) if is_vector(inner) => out.push_str(&format!("[<vector>]{after}")),
            _ => out.push_str(&format!("[{part}")),
        }
    }
    out
}

/// The figures of a card's fidelity as `<cosine>`.
fn fidelity(mut row: Vec<String>) -> Vec<String> {
    if let [property, value] = row.as_mut_slice()
        && property.contains("_cosine_")
    {
        *value = "<cosine>".to_owned();
    }
    row
}

/// Of EXPLAIN ANALYZE's metrics only the counts that are the same in each run.
fn metrics(text: &str) -> String {
    const STABLE: &[&str] =
        &["rows", "texts", "distinct_texts", "truncated_texts", "cache_hits", "cache_misses"];
    let Some((before, rest)) = text.split_once("metrics=[") else { return text.to_owned() };
    let inner = rest.rsplit_once(']').map_or(rest, |(inner, _)| inner);
    let kept: Vec<&str> = inner
        .split(", ")
        .filter(|metric| metric.split_once('=').is_some_and(|(name, _)| STABLE.contains(&name)))
        .collect();
    match kept.as_slice() {
        [] => before.trim_end().trim_end_matches(',').to_owned(),
        kept => format!("{before}metrics=[{}]", kept.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_run_to_run_is_made_the_same() {
        let places = Places(vec![("$TINY", PathBuf::from("/tmp/x1/tiny"))]);
        assert_eq!(places.fill("FROM '$TINY'"), "FROM '/tmp/x1/tiny'");
        let digest = "0123456789abcdef".repeat(4);
        let rows = vec![
            vec![format!("m@1#{digest} from tmp/x1/tiny and /tmp/x1/tiny/a")],
            vec!["__infer_9, __infer_7, __infer_9, __common_expr_4".to_owned()],
            vec!["InferExec, metrics=[output_rows=3, elapsed_compute=3ms, rows=3, texts=4]".to_owned()],
            vec!["FilterExec, metrics=[output_rows=3, elapsed_compute=3ms]".to_owned()],
            vec![format!("f([{}], [1, 2])", ["0.5"; 16].join(", "))],
        ];
        let expected = [
            "m@1#<digest> from $TINY and $TINY/a",
            "__infer_1, __infer_2, __infer_1, __common_expr_1",
            "InferExec, metrics=[rows=3, texts=4]",
            "FilterExec",
            "f([<vector>], [1, 2])",
        ];
        assert_eq!(normalise(&places, rows), expected.map(|line| vec![line.to_owned()]));
        let rows = vec![vec!["metric int8_cosine_min".to_owned(), "0.99".to_owned()]];
        assert_eq!(normalise(&places, rows), [["metric int8_cosine_min", "<cosine>"]]);
    }
}
