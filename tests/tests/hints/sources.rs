//! The hints that the code can give, read from its sources: the texts in `fn hint` and in what it calls by `…_hint`, those that
//! `clauses.rs` refuses with, and those of the rules by which DataFusion's messages are translated.

use std::fs;
use std::path::{Path, PathBuf};

/// A text of the code that becomes a hint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hint {
    /// The file, from the folder of crates.
    pub(crate) file: String,
    /// The text as the code has it, with its `{}`.
    pub(crate) text: String,
}

impl Hint {
    /// Whether something that was said is this hint, with values in the place of its braces.
    pub(crate) fn is_in(&self, said: &str) -> bool {
        let mut rest = said;
        pieces(&self.text).iter().all(|piece| match rest.find(piece.as_str()) {
            Some(at) => {
                rest = &rest[at + piece.len()..];
                true
            }
            None => false,
        })
    }
}

/// Returns all hints of the crates.
pub(crate) fn hints() -> Vec<Hint> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let mut all = Vec::new();
    for file in sources(&crates) {
        let source = fs::read_to_string(&file).expect("a source");
        let source = source.split("#[cfg(test)]").next().unwrap_or_default();
        let name = file.strip_prefix(&crates).expect("a file of the crates").display().to_string();
        let mut texts: Vec<String> = regions(source).iter().flat_map(|region| literals(region)).collect();
        if name.ends_with("translation_rules.rs") {
            texts.extend(
                calls(source, "with_hint(").iter().filter_map(|call| literals(call).into_iter().nth(2)),
            );
            texts.extend(source.lines().filter(|line| line.starts_with("const ")).flat_map(literals));
        }
        if name.ends_with("clauses.rs") {
            texts.extend(
                calls(source, "refuse(").iter().filter_map(|call| literals(call).into_iter().next_back()),
            );
        }
        // A word or two are no hint but a part of one, or a name that is compared.
        let is_hint = |text: &String| pieces(text).iter().any(|piece| piece.trim().contains(' '));
        all.extend(texts.into_iter().filter(is_hint).map(|text| Hint { file: name.clone(), text }));
    }
    all.sort();
    all.dedup();
    all
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        match entry.is_dir() {
            true if entry.file_name().is_some_and(|name| name == "tests" || name == "target") => {}
            true => found.extend(sources(&entry)),
            false if entry.extension().is_some_and(|ending| ending == "rs") => found.push(entry),
            false => {}
        }
    }
    found
}

/// Returns the bodies of the functions that make hints.
fn regions(source: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (at, _) in source.match_indices("fn ") {
        let name: &str =
            source[at + 3..].split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or("");
        let makes_hints = name == "hint" || name == "instead" || name.ends_with("_hint");
        if makes_hints && let Some(body) = source[at..].find('{') {
            found.push(enclosed(&source[at + body..], '{', '}'));
        }
    }
    found
}

/// Returns the arguments of each call of a function.
fn calls<'a>(source: &'a str, function: &str) -> Vec<&'a str> {
    let called = source.match_indices(function);
    called.map(|(at, _)| enclosed(&source[at + function.len() - 1..], '(', ')')).collect()
}

/// Returns what stands between the bracket that a text begins with and its partner; brackets in texts don't count.
fn enclosed(text: &str, open: char, close: char) -> &str {
    let (mut depth, mut quoted, mut escaped) = (0_i32, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            // Not the character '"'.
            '"' if !text[..at].ends_with('\'') => quoted = !quoted,
            _ if quoted => {}
            _ if c == open => depth += 1,
            _ if c == close => {
                depth -= 1;
                if depth == 0 {
                    return &text[..at];
                }
            }
            _ => {}
        }
    }
    text
}

/// Returns the texts in quotes, as they are when they are printed.
fn literals(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut chars = source.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        if c == '/' && chars.peek() == Some(&'/') {
            chars.by_ref().find(|c| *c == '\n');
        } else if c == '"' && before != '\'' {
            let mut text = String::new();
            while let Some(c) = chars.next() {
                match c {
                    '"' => break,
                    '\\' => match chars.next() {
                        // A line that goes on after the blanks of the next one.
                        Some('\n') => while chars.next_if(|c| c.is_whitespace()).is_some() {},
                        Some('n') => text.push('\n'),
                        Some(c) => text.push(c),
                        None => {}
                    },
                    c => text.push(c),
                }
            }
            found.push(text);
        }
        before = c;
    }
    found
}

/// Returns what stands between the braces of a text.
fn pieces(text: &str) -> Vec<String> {
    let text = text.replace("{{", "\u{1}").replace("}}", "\u{2}");
    let mut pieces = vec![String::new()];
    let mut inside = false;
    for c in text.chars() {
        match c {
            '{' => (inside, _) = (true, pieces.push(String::new())),
            '}' => inside = false,
            _ if inside => {}
            '\u{1}' => pieces.last_mut().expect("a piece").push('{'),
            '\u{2}' => pieces.last_mut().expect("a piece").push('}'),
            c => pieces.last_mut().expect("a piece").push(c),
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

#[test]
fn hints_are_found_in_sources() {
    let source = "fn hint(&self) -> Option<String> { match self { A => format!(\"make {}: \\\n   CREATE {name}\"), _ => '\"' } } \"no\"";
    assert_eq!(
        regions(source).iter().flat_map(|region| literals(region)).collect::<Vec<_>>(),
        ["make {}: CREATE {name}"]
    );
    let hint = Hint { file: String::new(), text: "make {}: {{x}} {name}".to_owned() };
    assert!(hint.is_in("make it: {x} m") && !hint.is_in("make it: x"));
}
