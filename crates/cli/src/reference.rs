//! `nightjar reference`: everything that SQL knows of ours, as Markdown.

use std::fmt::Write as _;
use std::io::Write as _;

use datafusion::config::ExtensionOptions;
use nightjar_functions::NightjarOptions;
use nightjar_functions::reference::functions_markdown;
use nightjar_sql::reference_markdown;

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

    /// The reference as pages: one for each of its top headings, with an index of them.
    fn pages() -> Vec<(String, String)> {
        let text = markdown();
        let mut pages = vec![("README.md".to_owned(), INDEX.to_owned())];
        for page in text.trim().split("\n# ") {
            let page = format!("# {}\n", page.trim_start_matches("# ").trim_end());
            let (heading, _) = page.split_once('\n').unwrap();
            let heading = heading.trim_start_matches("# ");
            let file = format!("{}.md", heading.to_lowercase().replace(' ', "-"));
            let _ = writeln!(pages[0].1, "- [{heading}]({file})");
            pages.push((file, page));
        }
        pages
    }

    const INDEX: &str = "# Reference\n\nSQL is [DataFusion's](https://datafusion.apache.org/user-guide/sql/), with those functions of \
                         `datafusion-spark` whose names DataFusion does not have. These pages are what Nightjar adds; `nightjar reference` \
                         prints them. They are generated: `UPDATE_REFERENCE=1 cargo test -p nightjar-cli` writes them.\n\n";

    #[test]
    fn the_reference_in_docs_is_what_the_program_prints() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference");
        let mut stale: Vec<String> = Vec::new();
        for (file, page) in pages() {
            let path = folder.join(&file);
            if std::env::var_os("UPDATE_REFERENCE").is_some() {
                std::fs::write(&path, &page).unwrap();
            }
            if std::fs::read_to_string(&path).ok().as_deref() != Some(&page) {
                stale.push(file);
            }
        }
        assert!(
            stale.is_empty(),
            "out of date: {stale:?}; UPDATE_REFERENCE=1 cargo test -p nightjar-cli writes them"
        );
        let known: Vec<String> = pages().into_iter().map(|(file, _)| file).collect();
        for entry in std::fs::read_dir(&folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(known.contains(&name), "docs/reference/{name} is no page of the reference: remove it");
        }
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
