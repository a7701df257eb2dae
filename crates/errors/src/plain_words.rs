//! Messages of the libraries below, without what only their programmers can read.

/// What DataFusion and Arrow put before their messages; our errors have codes instead.
const PREFIXES: &[&str] = &[
    "Error during planning: ",
    "Execution error: ",
    "Schema error: ",
    "SQL error: ",
    "External error: ",
    "External: ",
    "Arrow error: ",
    "Internal error: ",
    "Invalid or Unsupported Configuration: ",
    "This feature is not implemented: ",
    "Not yet implemented: ",
    "Object Store error: ",
    "Optimizer rule error: ",
    "Parquet error: ",
    "Parser error: ",
    "Compute error: ",
    "Cast error: ",
    "Csv error: ",
    "Json error: ",
    "Ipc error: ",
    "Invalid argument error: ",
    "IO error: ",
    "Io error: ",
    "Component error: ",
];

/// What DataFusion says after a message that it did not expect to show.
const BUG_BEGINS: &str = "This issue was likely caused by a bug in DataFusion's code";
const BUG_ENDS: &str = "https://github.com/apache/datafusion/issues";

/// What shows that a structure was printed for debugging.
const DEBUG_MARKS: &[&str] = &[
    "Ident {",
    "Span(",
    "Location(",
    "Field {",
    "Column {",
    "Os {",
    "Custom {",
    "quote_style",
    "ValueWithSpan",
    "Alias {",
    "Literal(",
    "BinaryExpr {",
    "BinaryOp {",
    "Subquery {",
    "kind: ",
    "Signature {",
    "Some(",
];

/// Returns a message of DataFusion, Arrow or an object store as people can read it: without prefixes that name kinds of errors,
/// without "likely a bug", and with names in the place of structures that were printed for debugging.
pub fn plain_words(message: &str) -> String {
    let mut text = without_bug(message);
    for prefix in PREFIXES {
        text = text.replace(prefix, "");
    }
    let text = without_structures(&text);
    // The many ways in which a function's arguments could not be read are one fact.
    match (text.find("failed to match any signature"), text.find("No function matches")) {
        (Some(_), Some(at)) => text[at..].to_owned(),
        _ => text.trim().to_owned(),
    }
}

fn without_bug(message: &str) -> String {
    let mut text = message.to_owned();
    while let Some(begin) = text.find(BUG_BEGINS) {
        let end = text[begin..].find(BUG_ENDS).map_or(text.len(), |at| begin + at + BUG_ENDS.len());
        let head = text[..begin].trim_end().trim_end_matches('.').to_owned();
        let tail = text[end..].trim_start_matches('.').trim_start();
        text = if tail.is_empty() { head } else { format!("{head}. {tail}") };
    }
    text
}

/// Replaces structures printed for debugging by the names or messages in them.
fn without_structures(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_word = out.chars().last().is_some_and(|c| c.is_alphanumeric() || c == '_');
        if first.is_ascii_uppercase()
            && !after_word
            && let Some((name, region)) = structure(rest)
        {
            let inner = &region[name.len()..];
            if let Some(inner) = wrapped_error(name, inner) {
                out.push_str(&without_structures(&inner));
                rest = &rest[region.len()..];
                continue;
            }
            if let Some(value) = literal(name, inner) {
                out.push_str(&value);
                rest = &rest[region.len()..];
                continue;
            }
            if DEBUG_MARKS.iter().any(|mark| region.contains(mark)) {
                out.push_str(&names_in(region));
                rest = &rest[region.len()..];
                continue;
            }
        }
        out.push(first);
        rest = &rest[first.len_utf8()..];
    }
    out
}

/// Returns the name and the whole text of a structure that begins here: `Name { … }` or `Name(…)`.
fn structure(text: &str) -> Option<(&str, &str)> {
    let name = &text[..text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len())];
    let inner = &text[name.len()..];
    if !inner.starts_with('(') && !inner.starts_with(" {") {
        return None;
    }
    let mut depth = 0_usize;
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' | '{' | '[' if !quoted => depth += 1,
            ')' | '}' | ']' if !quoted => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some((name, &text[..name.len() + at + c.len_utf8()]));
                }
            }
            _ => {}
        }
    }
    None
}

/// Returns what an error holds that was printed for debugging: `IoError(Os { … })`, `ParserError("…")`.
fn wrapped_error(name: &str, inner: &str) -> Option<String> {
    let is_error =
        name.ends_with("Error") || matches!(name, "External" | "General" | "Execution" | "Generic");
    let inner = inner.strip_prefix('(')?.strip_suffix(')')?;
    if !is_error {
        return None;
    }
    match inner.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')) {
        Some(quoted) => Some(unescaped(quoted)),
        None => structure(inner).is_some().then(|| inner.to_owned()),
    }
}

/// The types whose literals DataFusion prints with their types: `Int64(1)`, `Utf8("x")`.
const LITERAL_TYPES: &[&str] = &[
    "Boolean",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "UInt8",
    "UInt16",
    "UInt32",
    "UInt64",
    "Float16",
    "Float32",
    "Float64",
    "Utf8",
    "LargeUtf8",
    "Utf8View",
    "Date32",
    "Date64",
];

/// Returns a literal as it is typed, without the type before it.
fn literal(name: &str, inner: &str) -> Option<String> {
    if !LITERAL_TYPES.contains(&name) {
        return None;
    }
    let inner = inner.strip_prefix('(')?.strip_suffix(')')?;
    if let Some(text) = inner.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')) {
        return Some(format!("'{}'", unescaped(text).replace('\'', "''")));
    }
    (matches!(inner, "true" | "false" | "NULL") || inner.parse::<f64>().is_ok()).then(|| inner.to_owned())
}

/// Returns the names, or the message, in a structure.
fn names_in(region: &str) -> String {
    for key in ["message: \"", "value: \"", "error: \"", "name: \"", "Some(\"", "(\""] {
        let found: Vec<String> = region
            .match_indices(key)
            .filter_map(|(at, _)| {
                let rest = &region[at + key.len()..];
                let mut escaped = false;
                let end = rest.find(|c| {
                    let ends = c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    ends
                })?;
                Some(unescaped(&rest[..end]))
            })
            .collect();
        if !found.is_empty() {
            return found.join(".");
        }
    }
    "an expression".to_owned()
}

fn unescaped(text: &str) -> String {
    text.replace("\\\"", "\"").replace("\\'", "'").replace("\\n", "\n").replace("\\\\", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_without_structures() {
        let cases = [
            (
                "This feature is not implemented: Dot access not supported for non-string expr: Identifier(Ident { value: \
                 \"score\", quote_style: None, span: Span(Location(1,15)..Location(1,20)) })",
                "Dot access not supported for non-string expr: score",
            ),
            ("SQL error: ParserError(\"Expected: a \\\"name\\\"\")", "Expected: a \"name\""),
            (
                "can't read: IoError(Os { code: 13, kind: PermissionDenied, message: \"Permission denied\" })",
                "can't read: Permission denied",
            ),
            (
                "Internal error: Function 'sum' failed to match any signature, errors: Error during planning: x.,.\nThis issue was \
                 likely caused by a bug in DataFusion's code. Please help us to resolve this by filing a bug report in our \
                 issue tracker: https://github.com/apache/datafusion/issues. No function matches the given name",
                "No function matches the given name",
            ),
            (
                "HAVING clause references: t.id > Int64(1) AND t.x = Utf8(\"it's\")",
                "HAVING clause references: t.id > 1 AND t.x = 'it''s'",
            ),
            (
                "Cast error: Cannot cast string 'abc' to value of Int64 type",
                "Cannot cast string 'abc' to value of Int64 type",
            ),
        ];
        for (message, expected) in cases {
            assert_eq!(plain_words(message), expected);
        }
    }

    #[test]
    fn what_people_wrote_stays() {
        for message in [
            "the column 'f' is Decimal128(10, 2) in 'a.parquet' and List(Int64) in the table",
            "syntax error at line 1, column 3: expected (, found )",
            "option labels cannot be ['A (b)', '{x}']: it takes Some text",
            "no file or folder '/tmp/Report (1).csv'",
        ] {
            assert_eq!(plain_words(message), message);
        }
    }
}
