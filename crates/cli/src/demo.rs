//! `nightjar demo`: the main job, from labelled rows to labels for new ones, on sample data.

use std::fs;
use std::path::{Path, PathBuf};

use nightjar_names::ModelReference;

use crate::args::Args;
use crate::console::{Style, stdout_is_coloured, styled};
use crate::error::{CliError, Result};
use crate::model_command::{Request, pull_base};
use crate::runner::Runner;
use crate::script::Script;

const REVIEWS: &[u8] = include_bytes!("../data/reviews.csv");
const ANSWERS: &[u8] = include_bytes!("../data/reviews_answers.csv");

const BASE: &str = "all-MiniLM-L6-v2";

/// What each step shows, and its SQL. `{reviews}` and `{answers}` stand for the files' paths.
///
/// The stars are left alone: they nearly give the label away.
const STEPS: &[(&str, &str)] = &[
    (
        "The files become tables.",
        "CREATE OR REPLACE EXTERNAL TABLE demo_reviews (
    id VARCHAR, product VARCHAR, stars INT, review VARCHAR, label VARCHAR
) STORED AS CSV LOCATION '{reviews}'
  OPTIONS ('format.has_header' 'true');
CREATE OR REPLACE EXTERNAL TABLE demo_answers (id VARCHAR, label VARCHAR)
  STORED AS CSV LOCATION '{answers}' OPTIONS ('format.has_header' 'true')",
    ),
    (
        "Most of the reviews have a label, some do not.",
        "SELECT label, count(*) AS reviews FROM demo_reviews GROUP BY label ORDER BY reviews DESC",
    ),
    (
        "A classifier learns from those that have one.",
        "CREATE OR REPLACE MODEL demo_sentiment FROM 'all-MiniLM-L6-v2'
  FINE_TUNE ON (SELECT review, label FROM demo_reviews WHERE label IS NOT NULL)
  WITH (epochs = 3)",
    ),
    (
        "It labels reviews that it has never seen; 'truth' is what a person would say.",
        "SELECT r.product,
       CASE WHEN character_length(r.review) > 60 THEN concat(substr(r.review, 1, 59), '…') ELSE r.review END AS review,
       classify(r.review, 'demo_sentiment') AS label,
       a.label AS truth,
       round(classify_scores(r.review, 'demo_sentiment')[1]['score'], 2) AS score
FROM demo_reviews r JOIN demo_answers a ON r.id = a.id
ORDER BY reverse(r.id) LIMIT 12",
    ),
    (
        "How good it is on all of them:",
        "EVALUATE MODEL demo_sentiment ON (
    SELECT r.review, a.label FROM demo_reviews r JOIN demo_answers a ON r.id = a.id)",
    ),
    (
        "A label is a value like any other: what do the new reviews say of each product?",
        "SELECT product,
       count(*) FILTER (WHERE label = 'positive') AS positive,
       count(*) FILTER (WHERE label = 'neutral') AS neutral,
       count(*) FILTER (WHERE label = 'negative') AS negative
FROM (SELECT product, classify(review, 'demo_sentiment') AS label FROM demo_reviews WHERE label IS NULL)
GROUP BY product ORDER BY positive DESC, product",
    ),
];

/// `{nightjar}` stands for the command as it was typed.
const NEXT: &str = "\
What to try next:
  {nightjar} sql -c \"SELECT classify('Does what it says, no more.', 'demo_sentiment')\"
  {nightjar} sql -c \"SELECT review FROM demo_reviews ORDER BY similarity(review, 'too expensive') DESC LIMIT 5\"
  {nightjar}      a prompt: \\m lists the models, \\d the tables, \\? the rest
";

/// Runs the demo in the store of the command line.
pub(crate) async fn run(args: &Args) -> Result<()> {
    let mut runner = Runner::open(args).await?;
    runner.timing = !args.quiet;
    ensure_base(&runner).await?;
    let folder = runner.session().store().root().join("demo");
    let reviews = write(&folder, "reviews.csv", REVIEWS)?;
    let answers = write(&folder, "reviews_answers.csv", ANSWERS)?;
    for (title, sql) in STEPS {
        let sql = sql.replace("{reviews}", &literal(&reviews)).replace("{answers}", &literal(&answers));
        print(&runner, &format!("\n-- {title}\n"))?;
        for placed in Script::typed(sql).statements()? {
            let shown = styled(&format!("{};", placed.statement.sql), Style::Dim, stdout_is_coloured());
            print(&runner, &format!("{shown}\n"))?;
            runner.run(placed.statement).await?;
        }
    }
    let typed = std::env::args().next().unwrap_or_else(|| "nightjar".to_owned());
    print(&runner, &format!("\n{}", NEXT.replace("{nightjar}", &typed)))
}

async fn ensure_base(runner: &Runner) -> Result<()> {
    let store = runner.session().store();
    let progress = runner.progress();
    progress.tell(&format!("store: {}", store.root().display()));
    let present = store.catalog().model_version(&ModelReference::current(BASE));
    let model = match present {
        Ok(model) => model,
        Err(_) => pull_base(store, progress, Request::known(BASE)?).await?,
    };
    let source = model.card.source.unwrap_or_default();
    progress.tell(&format!("base model: {BASE}@{}, from {source}", model.version));
    Ok(())
}

/// Writes a file as a whole or not at all, and returns its path.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let path = folder.join(name);
    let beside = folder.join(format!("{name}.{}.part", std::process::id()));
    let written = fs::create_dir_all(folder)
        .and_then(|()| fs::write(&beside, bytes))
        .and_then(|()| fs::rename(&beside, &path));
    written.map_err(|source| CliError::FileUnwritable { path: path.clone(), source })?;
    Ok(path)
}

/// Returns a path as the inside of an SQL literal.
fn literal(path: &Path) -> String {
    path.display().to_string().replace('\'', "''")
}

/// Statements stand among their results, so that the output can be kept and read as one.
fn print(runner: &Runner, text: &str) -> Result<()> {
    runner.write_out(text.as_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_step_parses() {
        for (title, sql) in STEPS {
            assert!(!Script::typed(*sql).statements().unwrap().is_empty(), "{title}");
        }
    }
}
