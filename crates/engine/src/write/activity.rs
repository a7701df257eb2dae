//! What can be seen, from outside, of the statements that write into a folder.

use std::collections::BTreeSet;
use std::time::SystemTime;

use datafusion::datasource::listing::ListingTableUrl;
use datafusion::error::Result;
use datafusion::execution::runtime_env::RuntimeEnv;
use object_store::ObjectStoreExt;

use super::journal::JOURNAL;
use super::location::Location;
use super::staging::{STAGING, is_open};

/// The statements that are at work in a folder at a moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Activity {
    /// The names of their stagings.
    at_work: BTreeSet<String>,
    /// Whether one of them has written its journal and not yet carried it out.
    is_publishing: bool,
    /// When names were last added to the folder and to that of the stagings, or went; of file systems.
    changed: [Option<SystemTime>; 2],
}

impl Activity {
    /// Looks at a folder. What can't be looked at is not at work: the listing that follows will say why.
    ///
    /// Cost: on a file system two looks at folders, in a bucket a listing.
    pub(crate) async fn of(runtime: &RuntimeEnv, folder: &ListingTableUrl) -> Result<Self> {
        let (true, Ok(store), Ok(folder)) =
            (folder.is_collection(), runtime.object_store(folder), Location::parse(folder.as_str()))
        else {
            return Ok(Self::default());
        };
        let all = folder.folder(&[STAGING])?;
        let changed_at = |folder: &Location| folder.local()?.metadata().ok()?.modified().ok();
        let changed = [changed_at(&folder), changed_at(&all)];
        if all.local().is_some_and(|path| !path.exists()) {
            return Ok(Self { changed, ..Self::default() });
        }
        let Ok(found) = store.list_with_delimiter(Some(all.path())).await else { return Ok(Self::default()) };
        let mut activity = Self { changed, ..Self::default() };
        for staging in found.common_prefixes {
            let name = staging.filename().unwrap_or_default().to_owned();
            let place = all.folder(&[&name])?;
            // In this order: the marker goes before the journal does, so one that is there still has published nothing before the first look.
            activity.is_publishing |= store.head(place.file(JOURNAL)?.path()).await.is_ok();
            if is_open(store.as_ref(), &place).await.unwrap_or(false) {
                activity.at_work.insert(name);
            }
        }
        Ok(activity)
    }

    /// Whether files may have come or gone, as far as one statement's, between this look and a later one: then a listing that was made between them
    /// may show a part of what the statement does.
    pub(crate) fn may_have_published(&self, later: &Self) -> bool {
        later.is_publishing || self.changed != later.changed || !self.at_work.is_subset(&later.at_work)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_between_two_looks_may_have_published() {
        let look = |at_work: &[&str], is_publishing| Activity {
            at_work: at_work.iter().map(|name| (*name).to_owned()).collect(),
            is_publishing,
            changed: [None, None],
        };
        assert!(!look(&[], false).may_have_published(&look(&[], false)));
        assert!(!look(&["a"], false).may_have_published(&look(&["a", "b"], false)));
        assert!(look(&["a"], false).may_have_published(&look(&["b"], false)));
        assert!(look(&["a"], false).may_have_published(&look(&["a"], true)));
        let touched = Activity { changed: [None, Some(SystemTime::UNIX_EPOCH)], ..Activity::default() };
        assert!(look(&[], false).may_have_published(&touched));
    }
}
