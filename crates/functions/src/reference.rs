//! The reference of functions, printed from the registry.

use crate::registry;

/// Returns the Markdown reference of every function.
pub fn functions_markdown() -> String {
    let mut out = String::from("| call | returns | |\n| --- | --- | --- |\n");
    for doc in registry::docs() {
        let syntax = doc.syntax.replace(" or ", "`<br>`").replace('|', "\\|");
        let returns = doc.returns.replace('<', "\\<");
        out.push_str(&format!("| `{syntax}` | {returns} | {} {} |\n", doc.summary, doc.notes));
    }
    out.push_str(
        "\nEach model function has a `try_` form, which gives NULL where the plain one fails for that row \
         (bytes that are not UTF-8). `model` is a string literal, `name` or `name@version`; without one the \
         session's or the catalog's default for the task answers. Text beyond the model's window is truncated, \
         and counted in EXPLAIN ANALYZE and in a warning at the end.\n\n\
         The aggregates work with GROUP BY, FILTER and OVER, and merge over partitions. They refuse DISTINCT.\n",
    );
    out
}
