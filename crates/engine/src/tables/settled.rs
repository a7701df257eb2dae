//! Folders, listed while nobody is in the middle of changing them.

use datafusion::datasource::listing::ListingTableUrl;
use datafusion::error::Result;
use datafusion::execution::runtime_env::RuntimeEnv;

use crate::write::{Activity, settle};

/// How often a folder is listed anew in which statements end all the time. What is read then may have a part of one.
const MOST_LISTINGS: usize = 10;

/// Lists folders as a whole: what `list` returns has all of what a statement has published into them, or nothing.
///
/// Files come and go one by one; a listing that was made meanwhile is made again.
pub(crate) async fn whole<T, F>(
    runtime: &RuntimeEnv,
    folders: &[ListingTableUrl],
    list: impl Fn() -> F,
) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    for _ in 1..MOST_LISTINGS {
        let before = activity(runtime, folders).await?;
        let listed = list().await?;
        let after = activity(runtime, folders).await?;
        if !before.iter().zip(&after).any(|(before, after)| before.may_have_published(after)) {
            return Ok(listed);
        }
        for folder in folders {
            settle(runtime, folder).await?;
        }
    }
    list().await
}

/// Looks at who is at work in folders.
async fn activity(runtime: &RuntimeEnv, folders: &[ListingTableUrl]) -> Result<Vec<Activity>> {
    let mut all = Vec::new();
    for folder in folders {
        all.push(Activity::of(runtime, folder).await?);
    }
    Ok(all)
}
