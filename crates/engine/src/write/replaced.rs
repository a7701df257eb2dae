//! Which files of a table INSERT OVERWRITE replaces.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::datasource::listing::ListingTableUrl;
use datafusion::error::Result;
use futures::TryStreamExt;
use object_store::ObjectStore;
use object_store::path::Path;

use crate::tables::{PartitionColumns, is_data};

/// The files that a table is read from, as far as new ones replace them: all where it has no partition columns, those of
/// the same partitions where it has.
#[derive(Debug, Clone)]
pub(super) struct Replaced {
    /// The table's folder.
    pub(super) folder: ListingTableUrl,
    /// How the names of its files end.
    pub(super) ending: String,
    /// Whether files in its subfolders, those of partitions aside, are none of the table's.
    pub(super) ignores_subfolders: bool,
    /// The columns whose values name folders.
    pub(super) partitions: PartitionColumns,
}

impl Replaced {
    /// Returns the files that the table has now and that `new` ones replace, in the order of their paths.
    ///
    /// Cost: a listing of the table's folder.
    pub(super) async fn files(&self, store: &Arc<dyn ObjectStore>, new: &[Path]) -> Result<Vec<Path>> {
        if new.is_empty() && !self.partitions.is_empty() {
            return Ok(Vec::new());
        }
        let partitions: HashSet<_> = new.iter().filter_map(|path| self.partition(path)).collect();
        let found: Vec<_> = store.list(Some(self.folder.prefix())).try_collect().await?;
        let mut files: Vec<_> = found.into_iter().map(|file| file.location).collect();
        files.retain(|path| {
            self.is_read(path)
                && (self.partitions.is_empty()
                    || self.partition(path).is_some_and(|partition| partitions.contains(&partition)))
        });
        files.sort();
        Ok(files)
    }

    /// Returns whether the table reads a file, its partition aside.
    fn is_read(&self, path: &Path) -> bool {
        path.as_ref().ends_with(&self.ending) && is_data(&self.folder, path, self.ignores_subfolders)
    }

    /// Returns the values that a file's folders name, so that `month=01` is `month=1` where months are numbers. None for
    /// a file that the table can't read: it lies in no partition, or in one whose value is none of the column's type.
    fn partition(&self, path: &Path) -> Option<Vec<ScalarValue>> {
        self.partitions.values(&self.folder, path).ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::DataType;
    use object_store::memory::InMemory;
    use object_store::{ObjectStoreExt, PutPayload};

    use super::*;

    async fn replaced(partitions: &[(&str, DataType)], there: &[&str], new: &[&str]) -> Vec<String> {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        for path in there {
            store.put(&Path::parse(path).unwrap(), PutPayload::from_static(b"rows")).await.unwrap();
        }
        let columns = partitions.iter().map(|(name, kind)| ((*name).to_owned(), kind.clone())).collect();
        let replaced = Replaced {
            folder: ListingTableUrl::parse("s3://bucket/t/").unwrap(),
            ending: String::new(),
            ignores_subfolders: true,
            partitions: PartitionColumns::new(columns),
        };
        let new: Vec<_> = new.iter().map(|path| Path::parse(path).unwrap()).collect();
        let files = replaced.files(&store, &new).await.unwrap();
        files.iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn a_table_without_partitions_loses_what_it_reads() {
        let there = [
            "t/a.parquet",
            "t/_SUCCESS",
            "t/.b.crc",
            "t/sub/c.parquet",
            "t/_nightjar/1/d.parquet",
            "u/e.parquet",
        ];
        assert_eq!(replaced(&[], &there, &["t/new.parquet"]).await, ["t/a.parquet"]);
        assert_eq!(replaced(&[], &there, &[]).await, ["t/a.parquet"]);
    }

    #[tokio::test]
    async fn partitions_are_told_apart_by_their_values() {
        let columns = [("month", DataType::Int32), ("city", DataType::Utf8)];
        let there = [
            "t/month=01/city=a%20b/old.parquet",
            "t/month=1/city=a b/older.parquet",
            "t/month=1/city=c/kept.parquet",
            "t/month=2/city=a b/kept.parquet",
            "t/kept.parquet",
            "t/month=1/kept.parquet",
        ];
        let new = ["t/month=1/city=a b/new.parquet"];
        assert_eq!(replaced(&columns, &there, &new).await, there[..2]);
        assert!(replaced(&columns, &there, &[]).await.is_empty());
    }
}
