//! The reference page of the statements, from the lists.

use std::fmt::Write;

use crate::job::options::JOB_OPTIONS;
use crate::registry::STATEMENTS;
use crate::training::method::method_words;
use crate::training::options::TRAINING_OPTIONS;

/// The reference of our statements and of the training options, as Markdown. The same text at each call.
pub fn reference_markdown() -> String {
    let mut page = String::from("# Statements\n");
    // Writing to a String cannot fail.
    for kind in STATEMENTS {
        let _ = write!(
            page,
            "\n## {}\n\n{}\n\n```text\n{}\n```\n\nExample:\n\n```sql\n{};\n```\n",
            kind.name, kind.summary, kind.syntax, kind.example
        );
    }
    page.push_str(
        "\n# Training options\n\n`WITH (option = value, …)` of `CREATE MODEL` and `ALTER MODEL`.\n",
    );
    for option in TRAINING_OPTIONS {
        let _ = write!(
            page,
            "\n## {}\n\n{}\n\n- methods: {}\n- takes: {}\n- default: {}, because {}\n",
            option.name,
            option.summary,
            method_words(option.methods),
            option.kind,
            option.default,
            option.reason
        );
    }
    page.push_str("\n# Job options\n\n`WITH (option = value, …)` of `CREATE JOB` and `ALTER JOB`.\n\n");
    for option in JOB_OPTIONS {
        let _ = writeln!(
            page,
            "- `{}`: {} Takes {}. Default {}.",
            option.name, option.summary, option.takes, option.default
        );
    }
    page
}
