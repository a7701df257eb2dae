//! Paths, URLs and patterns as places of files.

use std::path::Path;

use datafusion::datasource::listing::ListingTableUrl;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::runtime_env::RuntimeEnv;
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use url::Url;

/// What makes a name a pattern.
pub(crate) const WILDCARDS: [char; 3] = ['*', '?', '['];

/// Returns the place that a path, URL or pattern names. A file or folder that is called so is meant before a pattern is:
/// `odd[1].csv` may be a name.
pub(crate) async fn place(runtime: &RuntimeEnv, text: &str) -> Result<ListingTableUrl> {
    match pattern(runtime, text).await? {
        None if text.contains(WILDCARDS) => ListingTableUrl::try_new(literal_url(text)?, None),
        None => ListingTableUrl::parse(text),
        Some(at) => {
            let (folder, pattern) = text.split_at(at);
            let folder = if folder.is_empty() { "./" } else { folder };
            ListingTableUrl::try_new(literal_url(folder)?, None)?.with_glob(pattern)
        }
    }
}

/// Returns where the pattern in a path or URL begins: with the first name that has wildcards and that nothing is called by.
pub(crate) async fn pattern(runtime: &RuntimeEnv, text: &str) -> Result<Option<usize>> {
    let (scheme, path) = text.split_once("://").unwrap_or(("", text));
    // What http servers have, they don't list.
    if !text.contains(WILDCARDS) || scheme.starts_with("http") {
        return Ok(None);
    }
    let mut at = text.len() - path.len();
    if !["", "file"].contains(&scheme) {
        at += path.find('/').map_or(path.len(), |slash| slash + 1);
    }
    for name in text[at..].split_inclusive('/') {
        if name.contains(WILDCARDS) && !exists(runtime, &text[..at + name.len()]).await? {
            return Ok(Some(at));
        }
        at += name.len();
    }
    Ok(None)
}

async fn exists(runtime: &RuntimeEnv, text: &str) -> Result<bool> {
    if let Some(path) = local(text) {
        return Ok(Path::new(path).exists());
    }
    let place = ListingTableUrl::try_new(literal_url(text)?, None)?;
    // A store that is not known is for the reader to report.
    let Ok(store) = runtime.object_store(&place) else { return Ok(false) };
    if place.is_collection() {
        return Ok(store.list(Some(place.prefix())).try_next().await.ok().flatten().is_some());
    }
    Ok(store.head(place.prefix()).await.is_ok())
}

/// Returns the path of what lies on this machine.
fn local(text: &str) -> Option<&str> {
    match text.strip_prefix("file://") {
        Some(path) => Some(path),
        None => (!text.contains("://")).then_some(text),
    }
}

/// Returns the URL of a path or URL in which no character is a pattern, or the beginning of a query.
pub(crate) fn literal_url(text: &str) -> Result<Url> {
    let invalid = |reason: &str| DataFusionError::Plan(reason.to_owned());
    let Some(path) = local(text) else {
        let encoded = text.replace('?', "%3F").replace('#', "%23");
        return Url::parse(&encoded).map_err(|error| invalid(&error.to_string()));
    };
    let absolute = std::path::absolute(path)?;
    let folder = path.ends_with('/') || absolute.is_dir();
    let url = if folder { Url::from_directory_path(&absolute) } else { Url::from_file_path(&absolute) };
    let url = url.map_err(|()| invalid("it is neither absolute nor a URL"))?;
    // Once more, without `.` and `..`.
    Url::parse(url.as_str()).map_err(|error| invalid(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn parsed(text: &str) -> (String, Option<String>) {
        let runtime = RuntimeEnv::default();
        let place = place(&runtime, text).await.unwrap();
        (place.prefix().to_string(), place.get_glob().as_ref().map(|glob| glob.as_str().to_owned()))
    }

    #[tokio::test]
    async fn what_is_there_wins_over_a_pattern() {
        let here = tempfile::tempdir().unwrap();
        std::fs::create_dir(here.path().join("x*")).unwrap();
        for name in ["odd[1].csv", "what?.csv", "x*/y.csv"] {
            std::fs::write(here.path().join(name), "a\n1\n").unwrap();
        }
        let root = here.path().to_str().unwrap();
        let prefix = root.trim_start_matches('/').to_owned();
        let under = |name: &str| format!("{prefix}/{name}");
        for name in ["odd[1].csv", "what?.csv", "x*/y.csv", "x*"] {
            assert_eq!(parsed(&format!("{root}/{name}")).await, (under(name), None));
            assert_eq!(parsed(&format!("file://{root}/{name}")).await, (under(name), None));
        }
        assert_eq!(parsed(&format!("{root}/x*/*.csv")).await, (under("x*"), Some("*.csv".to_owned())));
        assert_eq!(
            parsed(&format!("{root}/odd[2].csv")).await,
            (prefix.clone(), Some("odd[2].csv".to_owned()))
        );
        assert_eq!(parsed(&format!("{root}/*/y.csv")).await, (prefix, Some("*/y.csv".to_owned())));
    }
}
