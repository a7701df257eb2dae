//! The columns of a file in Arrow's format.

use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::convert::fb_to_schema;
use datafusion::arrow::ipc::reader::read_footer_length;
use datafusion::arrow::ipc::root_as_footer;
use datafusion::error::Result;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use crate::formats::parquet::can_convert;

/// What a file begins and ends with. A stream, which the format knows too, does not.
const MAGIC: &[u8] = b"ARROW1";

/// What a file ends with: the length of its footer, and the magic.
const END: usize = 10;

/// Returns the columns that a file's footer tells, or None for what is no file but a stream, which tells them at its beginning.
///
/// Errors: a file that ends too early. Cost: three small reads.
pub(super) async fn schema(store: &dyn ObjectStore, object: &ObjectMeta) -> Result<Option<Schema>> {
    let (path, size) = (&object.location, object.size);
    let (magic, end) = (MAGIC.len() as u64, END as u64);
    if size < magic + end || store.get_range(path, 0..magic).await? != MAGIC {
        return Ok(None);
    }
    let last = store.get_range(path, size - end..size).await?;
    let last = <[u8; END]>::try_from(last.as_ref()).map_err(|_| truncated(object))?;
    let length = read_footer_length(last).map_err(|_| truncated(object))? as u64;
    let begins = (size - end).checked_sub(length).ok_or_else(|| truncated(object))?;
    let footer = store.get_range(path, begins..size - end).await?;
    let footer = root_as_footer(&footer).map_err(|_| truncated(object))?;
    let schema = footer.schema().ok_or_else(|| truncated(object))?;
    if !can_convert(&schema) {
        let reason = format!("'{}' has a column of a type that isn't known here", object.location);
        return Err(ArrowError::NotYetImplemented(reason).into());
    }
    Ok(Some(fb_to_schema(schema)))
}

fn truncated(object: &ObjectMeta) -> ArrowError {
    ArrowError::ParseError(format!(
        "'{}' begins as a file in Arrow's format and doesn't end as one",
        object.location
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::{DataType, Field};
    use datafusion::arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
    use object_store::memory::InMemory;
    use object_store::path::Path;

    use super::*;

    async fn read(bytes: Vec<u8>) -> Result<Option<Schema>> {
        let (store, path) = (InMemory::new(), Path::from("a.arrow"));
        store.put(&path, bytes.into()).await.unwrap();
        let object = store.head(&path).await.unwrap();
        schema(&store, &object).await
    }

    #[tokio::test]
    async fn columns_are_found_however_the_file_is_aligned() {
        let columns = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        for alignment in [8, 64] {
            let options =
                IpcWriteOptions::try_new(alignment, false, datafusion::arrow::ipc::MetadataVersion::V5);
            let mut file = FileWriter::try_new_with_options(Vec::new(), &columns, options.unwrap()).unwrap();
            file.finish().unwrap();
            let whole = file.into_inner().unwrap();
            assert_eq!(read(whole.clone()).await.unwrap().as_ref(), Some(columns.as_ref()));
            for length in [0, 5, 16, whole.len() / 2, whole.len() - 1] {
                let read = read(whole[..length].to_vec()).await;
                match read {
                    Ok(None) => assert!(length < 16, "{length}"),
                    other => {
                        assert!(other.unwrap_err().to_string().contains("doesn't end as one"), "{length}")
                    }
                }
            }
            let mut long = whole.clone();
            let end = long.len() - END;
            long[end..end + 4].copy_from_slice(&i32::MAX.to_le_bytes());
            assert!(read(long).await.is_err());
        }
        let mut stream = StreamWriter::try_new(Vec::new(), &columns).unwrap();
        stream.finish().unwrap();
        assert_eq!(read(stream.into_inner().unwrap()).await.unwrap(), None);
    }
}
