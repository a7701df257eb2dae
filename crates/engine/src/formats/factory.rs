//! What makes the formats, in the place of DataFusion's factories.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::common::GetExt;
use datafusion::datasource::file_format::csv::{CsvFormat, CsvFormatFactory};
use datafusion::datasource::file_format::json::{JsonFormat, JsonFormatFactory};
use datafusion::datasource::file_format::{FileFormat, FileFormatFactory};
use datafusion::error::{DataFusionError, Result};

use super::format::TextFiles;

/// Makes the format of CSV files.
#[derive(Debug, Default)]
pub(crate) struct CsvFilesFactory;

/// Makes the format of JSON files.
#[derive(Debug, Default)]
pub(crate) struct JsonFilesFactory;

fn unknown() -> DataFusionError {
    DataFusionError::Internal("a factory has made another format than its own".to_owned())
}

impl FileFormatFactory for CsvFilesFactory {
    fn create(&self, state: &dyn Session, options: &HashMap<String, String>) -> Result<Arc<dyn FileFormat>> {
        let made = CsvFormatFactory::new().create(state, options)?;
        let made = (made.as_ref() as &dyn Any).downcast_ref::<CsvFormat>().ok_or_else(unknown)?;
        Ok(Arc::new(TextFiles::csv(made.options().clone())))
    }

    fn default(&self) -> Arc<dyn FileFormat> {
        Arc::new(TextFiles::csv(CsvFormat::default().options().clone()))
    }
}

impl GetExt for CsvFilesFactory {
    fn get_ext(&self) -> String {
        CsvFormatFactory::new().get_ext()
    }
}

impl FileFormatFactory for JsonFilesFactory {
    fn create(&self, state: &dyn Session, options: &HashMap<String, String>) -> Result<Arc<dyn FileFormat>> {
        let made = JsonFormatFactory::new().create(state, options)?;
        let made = (made.as_ref() as &dyn Any).downcast_ref::<JsonFormat>().ok_or_else(unknown)?;
        Ok(Arc::new(TextFiles::json(made.options().clone())))
    }

    fn default(&self) -> Arc<dyn FileFormat> {
        Arc::new(TextFiles::json(JsonFormat::default().options().clone()))
    }
}

impl GetExt for JsonFilesFactory {
    fn get_ext(&self) -> String {
        JsonFormatFactory::new().get_ext()
    }
}
