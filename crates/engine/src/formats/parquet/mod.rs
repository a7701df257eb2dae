//! Parquet files: DataFusion's format over metadata that can be believed.
//!
//! A Parquet file's footer says more than readers may rely on. The minimum and maximum of a floating column leave NaN out and
//! don't tell −0.0 from 0.0; those of INT96 are in no defined order; an embedded Arrow schema may be one that nobody can convert.
//! DataFusion prunes files, row groups and pages with the first, answers aggregates from them, and takes a column whose minimum
//! is its maximum for a constant.
//!
//! So the footer is amended where it is read ([`metadata`]), once for each file, before anything sees it: bounds that don't hold
//! are taken out ([`bounds`]), and the embedded schema is replaced by one that reads each column as what it is ([`schema`]). The
//! amended footer is kept where DataFusion keeps footers. [`ParquetFiles`] plans scans over it; [`with_amended_metadata`] gives
//! a scan that has been planned or decoded elsewhere the same reader.

mod adapter;
mod bounds;
mod calendar;
mod dynamic_filters;
mod embedded;
mod format;
mod legacy;
mod metadata;
mod reader;
mod scan;
mod schema;
mod stored;

pub(crate) use dynamic_filters::NoFloatingDynamicFilters;
pub(crate) use embedded::can_convert;
pub(crate) use format::ParquetFilesFactory;
pub use scan::with_amended_metadata;
