//! What the benchmarks share: the store with the base model, and the texts.

use std::path::PathBuf;

use datafusion::arrow::array::AsArray;
use nightjar_engine::{Result, Session};

/// The base model's name.
pub const BASE_MODEL: &str = "all-MiniLM-L6-v2";

/// Returns a session on the store that NIGHTJAR_STORE names, or the default one.
pub fn session() -> Result<Session> {
    Session::open(std::env::var("NIGHTJAR_STORE").ok().as_deref())
}

/// Returns the path of the reviews that ship with the project.
pub fn reviews_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crates/cli/data/reviews.csv")
}

/// Returns the reviews' texts.
pub async fn reviews(session: &Session) -> Result<Vec<String>> {
    let path = reviews_path();
    let sql = format!("SELECT review FROM '{}'", path.display());
    let mut texts = Vec::new();
    for batch in session.sql(&sql).await?.collect().await? {
        let column =
            datafusion::arrow::compute::cast(batch.column(0), &datafusion::arrow::datatypes::DataType::Utf8)
                .map_err(datafusion::error::DataFusionError::from)?;
        texts.extend(column.as_string::<i32>().iter().flatten().map(str::to_owned));
    }
    Ok(texts)
}
