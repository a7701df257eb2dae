//! Preprocessing, tuning, scoring and aggregation as method chains: what one writes in Spark.

// An example prints, and stops at the first error.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::Path;

use datafusion::functions::expr_fn::{btrim, character_length};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::prelude::*;
use nightjar_cluster::ClusterSession;
use nightjar_engine::Session;
use nightjar_engine::functions::{classify_with, similarity};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = std::env::var("NIGHTJAR_STORE").ok();
    // The same chains run on a cluster, where there is one (nightjar scheduler, nightjar executor).
    let session = match std::env::var("NIGHTJAR_CLUSTER") {
        Ok(scheduler) => Session::cluster(&scheduler, store.as_deref()).await?,
        Err(_) => Session::open(store.as_deref())?,
    };
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/cli/data/reviews.csv");
    let out = tempfile::tempdir()?;

    // Preprocessing: trim, drop what is too short, keep the columns that matter.
    let reviews = session
        .read(&data.to_string_lossy())
        .await?
        .with_column("review", btrim(vec![col("review")]))?
        .filter(character_length(col("review")).gt(lit(10)))?
        .select([col("id"), col("product"), col("review"), col("label")])?;

    // Tuning: a statement, over a table that the dataframe registers for this session.
    reviews.clone().filter(col("label").is_not_null())?.register("labelled")?;
    session
        .sql("CREATE OR REPLACE MODEL example_sentiment FINE_TUNE ON (SELECT review, label FROM labelled) WITH (epochs = 2)")
        .await?
        .show()
        .await?;

    // Scoring the rest, written as Parquet.
    let scored = reviews
        .filter(col("label").is_null())?
        .with_column("predicted", classify_with(col("review"), "example_sentiment"))?;
    let labels = out.path().join("labels.parquet");
    scored.write_parquet(&labels.to_string_lossy()).await?;

    // What came out, by product, and the reviews nearest to a question.
    let labels = session.read(&labels.to_string_lossy()).await?;
    let by_label = labels.clone().aggregate([col("predicted")], [count(lit(1)).alias("reviews")])?;
    by_label.sort([col("reviews").sort(false, false)])?.show().await?;
    labels
        .with_column("closeness", similarity(col("review"), lit("it broke after a few days")))?
        .sort([col("closeness").sort(false, false)])?
        .select([col("product"), col("predicted"), col("review")])?
        .limit(3)?
        .show()
        .await?;
    Ok(())
}
