//! Whether a safetensors file is whole, told from its header alone.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{CatalogError, Result};

/// The largest header that the format allows, in bytes.
const LARGEST_HEADER: u64 = 100_000_000;

/// Checks that the file at `path` has exactly the bytes that its header speaks of. A file that was
/// cut in the middle of a download keeps a good header; without pinned digests only this tells.
/// Cost: reads the header.
pub(crate) fn check(origin: &str, name: &str, path: &Path) -> Result<()> {
    let invalid =
        |reason: String| CatalogError::WeightsInvalid { origin: origin.into(), file: name.into(), reason };
    let mut file = File::open(path).map_err(CatalogError::io("open", path))?;
    let size = file.metadata().map_err(CatalogError::io("read", path))?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|_| invalid("it has no header".into()))?;
    let length = u64::from_le_bytes(length);
    if length > LARGEST_HEADER || length + 8 > size {
        return Err(invalid(format!("its header of {length} bytes does not fit in its {size} bytes")));
    }
    let header: serde_json::Map<String, serde_json::Value> = serde_json::from_reader(file.take(length))
        .map_err(|error| invalid(format!("its header is not JSON: {error}")))?;
    let end = |tensor: &serde_json::Value| tensor.get("data_offsets")?.get(1)?.as_u64();
    let expected = header.values().filter_map(end).max().unwrap_or(0).saturating_add(length + 8);
    if expected != size {
        return Err(invalid(format!("it has {size} bytes, its header speaks of {expected}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_files_pass_and_others_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.safetensors");
        let check = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            check("x", "model.safetensors", &path)
        };
        let header = br#"{"__metadata__":{"a":"b"},"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#;
        let whole = [&(header.len() as u64).to_le_bytes()[..], header, b"abcd"].concat();
        check(&whole).unwrap();
        let longer = [&whole[..], b"e"].concat();
        let huge = [&u64::MAX.to_le_bytes()[..], header].concat();
        for wrong in [&whole[..whole.len() - 1], &whole[..20], b"abc", b"", &longer, &huge] {
            assert!(matches!(check(wrong), Err(CatalogError::WeightsInvalid { .. })));
        }
    }
}
