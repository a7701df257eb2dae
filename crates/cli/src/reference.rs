//! `nightjar reference`: everything that SQL knows of ours, as Markdown.

use std::fmt::Write as _;
use std::io::Write as _;

use datafusion::config::ExtensionOptions;
use nightjar_functions::NightjarOptions;
use nightjar_functions::reference::functions_markdown;
use nightjar_statements::reference_markdown;

use crate::error::Result;

/// Prints the reference on stdout.
pub(crate) fn print() -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(markdown().as_bytes())?;
    out.flush()?;
    Ok(())
}

fn markdown() -> String {
    format!("{}\n# Functions\n\n{}\n{}", reference_markdown(), functions_markdown(), settings_markdown())
}

/// Returns the settings of a session with their defaults. Those of DataFusion are its own documentation's.
fn settings_markdown() -> String {
    let mut page = String::from(
        "# Settings\n\n`SET nightjar.classify_model = 'sentiment'` changes one for the session; `SHOW \
         nightjar.classify_model` prints it.\n\n| setting | default | |\n| --- | --- | --- |\n",
    );
    for entry in NightjarOptions::default().entries() {
        let default = entry.value.filter(|value| !value.is_empty()).map(|value| format!("`'{value}'`"));
        let words = entry.description.split_whitespace().collect::<Vec<_>>().join(" ");
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| `nightjar.{}` | {} | {words} |",
            entry.key.trim_start_matches("nightjar."),
            default.unwrap_or_default()
        );
    }
    page
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// `UPDATE_README=1 cargo test -p nightjar-cli` writes the reference into the README.
    #[test]
    fn the_readme_holds_the_reference() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md");
        let readme = std::fs::read_to_string(path).unwrap();
        let (begin, end) = ("do not edit -->\n", "<!-- reference: end -->");
        let (before, rest) = readme.split_once(begin).unwrap();
        let (_, after) = rest.split_once(end).unwrap();
        // Two levels down: the README's own heading stands above.
        let nested: Vec<String> = markdown()
            .lines()
            .map(|line| if line.starts_with('#') { format!("##{line}") } else { line.to_owned() })
            .collect();
        let expected = format!("{before}{begin}\n{}\n\n{end}{after}", nested.join("\n").trim());
        if std::env::var_os("UPDATE_README").is_some() {
            std::fs::write(path, &expected).unwrap();
        }
        let readme = std::fs::read_to_string(path).unwrap();
        assert!(readme == expected, "README.md is out of date: UPDATE_README=1 cargo test -p nightjar-cli");
    }

    #[test]
    fn everything_is_in_it_and_it_is_the_same_each_time() {
        let page = markdown();
        assert_eq!(page, markdown());
        for heading in ["# Statements\n", "# Training options\n", "# Functions\n", "# Settings\n"] {
            assert_eq!(page.matches(heading).count(), 1, "{heading}");
        }
        for name in ["`classify(", "## CREATE MODEL\n", "`nightjar.base_model` | `'all-MiniLM-L6-v2'` |"] {
            assert!(page.contains(name), "{name}");
        }
        assert!(page.ends_with("|\n"));
    }
}
