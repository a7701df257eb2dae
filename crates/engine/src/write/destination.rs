//! Where a statement's files go, and where they lie until then.

use datafusion::datasource::physical_plan::FileSinkConfig;
use datafusion::error::{DataFusionError, Result};

use super::location::Location;
use super::staging::STAGING;
use crate::error::EngineError;

/// The place that a statement writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Destination {
    /// What was written after TO, or the table's folder.
    pub(super) target: Location,
    /// How the files get there.
    pub(super) kind: Kind,
    /// Where the tasks write.
    pub(super) staging: Location,
}

/// How staged files become visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One file, by one move.
    File,
    /// A folder that is not there yet, on a file system: by one rename.
    NewFolder,
    /// A folder that may hold files already, or a prefix of a bucket: by a journal of the moves, and of what they replace.
    Folder,
}

impl Destination {
    /// Returns the destination of a writer. Looks whether a folder of this machine is there.
    ///
    /// Errors: a folder where a file is to be, or a file where a folder is.
    pub(super) fn of(config: &FileSinkConfig) -> Result<Self> {
        let listing = &config.table_paths[0];
        let partitioned = !config.table_partition_cols.is_empty();
        let single = !partitioned && config.file_output_mode.single_file_output(listing);
        let text = listing.as_str();
        let target = if single || text.ends_with('/') {
            Location::parse(text)?
        } else {
            Location::parse(&format!("{text}/"))?
        };
        let there = target.local().map(|path| path.metadata().map(|found| found.is_dir()).ok());
        let kind = match (single, there) {
            (true, Some(Some(true))) => return Err(unwritable(&target, "it is a folder")),
            (false, Some(Some(false))) => return Err(unwritable(&target, "it is a file")),
            (true, _) => Kind::File,
            (false, Some(None)) => Kind::NewFolder,
            (false, _) => Kind::Folder,
        };
        let id = uuid::Uuid::new_v4().simple().to_string();
        // On the file system of the target: a rename must not become a copy.
        let beside = match kind {
            Kind::NewFolder => target.parent()?,
            Kind::File | Kind::Folder => target.clone(),
        };
        let staging = beside.folder(&[STAGING, &id])?;
        Ok(Self { target, kind, staging })
    }
}

/// Returns the error of a statement that has happened and whose files are not yet where they belong.
pub(super) fn unfinished(place: &Location, reason: &str) -> DataFusionError {
    let (to, reason) = (place.to_string(), reason.to_owned());
    DataFusionError::External(Box::new(EngineError::Unfinished { to, reason }))
}

/// Returns the error of a place that can't be written.
pub(super) fn unwritable(place: &Location, reason: &str) -> DataFusionError {
    let (to, reason) = (place.to_string(), reason.to_owned());
    DataFusionError::External(Box::new(EngineError::Unwritable { to, reason }))
}

#[cfg(test)]
mod tests {
    use datafusion::datasource::listing::ListingTableUrl;
    use datafusion::logical_expr::dml::InsertOp;

    use super::*;

    fn of(url: &str) -> Destination {
        let listing = ListingTableUrl::parse(url).unwrap();
        let config = FileSinkConfig {
            original_url: url.to_owned(),
            object_store_url: listing.object_store(),
            file_group: Default::default(),
            table_paths: vec![listing],
            output_schema: std::sync::Arc::new(datafusion::arrow::datatypes::Schema::empty()),
            table_partition_cols: Vec::new(),
            insert_op: InsertOp::Append,
            keep_partition_by_columns: false,
            file_extension: "parquet".to_owned(),
            file_output_mode: Default::default(),
        };
        Destination::of(&config).unwrap()
    }

    #[test]
    fn staging_is_on_the_targets_file_system() {
        let here = tempfile::tempdir().unwrap();
        let root = here.path().to_str().unwrap();
        let staged = |url: &str| {
            let found = of(url);
            let staging = found.staging.to_string();
            (found.kind, staging.split(STAGING).next().unwrap().to_owned())
        };
        assert_eq!(staged(&format!("{root}/new/")), (Kind::NewFolder, format!("{root}/")));
        assert_eq!(staged(&format!("{root}/new")), (Kind::NewFolder, format!("{root}/")));
        assert_eq!(staged(&format!("{root}/")), (Kind::Folder, format!("{root}/")));
        assert_eq!(staged(&format!("{root}/a.parquet")), (Kind::File, format!("{root}/")));
        assert_eq!(staged("s3://b/x/"), (Kind::Folder, "s3://b/x/".to_owned()));
        assert_eq!(staged("s3://b/x.csv"), (Kind::File, "s3://b/".to_owned()));
        assert_ne!(of("s3://b/x/").staging, of("s3://b/x/").staging);
    }
}
