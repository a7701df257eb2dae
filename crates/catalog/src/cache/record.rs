//! An entry as bytes: the text's digest, a checksum, whether the text was cut, the embedding's values as they are.

use twox_hash::XxHash3_64;

use super::key::TextDigest;

/// Bytes before the values.
const HEAD: usize = 32 + 8 + 4;

/// Bytes of an entry with so many values.
pub(super) const fn record_bytes(dim: usize) -> usize {
    HEAD + 4 * dim
}

/// Appends an entry to `out`.
pub(super) fn append_record(digest: &TextDigest, truncated: bool, embedding: &[f32], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&digest.0);
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&u32::from(truncated).to_le_bytes());
    embedding.iter().for_each(|value| out.extend_from_slice(&value.to_le_bytes()));
    let sum = checksum(&out[start..]);
    out[start + 32..start + 40].copy_from_slice(&sum);
}

/// Returns the digest of an entry, or None where its bytes are not those that were written.
pub(super) fn digest_of(record: &[u8]) -> Option<TextDigest> {
    let whole = record.len() >= HEAD && record[32..40] == checksum(record);
    let mut digest = TextDigest([0; 32]);
    whole.then(|| {
        digest.0.copy_from_slice(&record[..32]);
        digest
    })
}

/// Writes the values of a checked entry to `out`, and returns whether the text was cut.
pub(super) fn read_record(record: &[u8], out: &mut [f32]) -> bool {
    for (value, bytes) in out.iter_mut().zip(record[HEAD..].chunks_exact(4)) {
        *value = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    record[40] != 0
}

/// Over all but the place of the checksum itself. It is to find what a disk has done; who may write here could write any sum, so
/// it is one that costs a tenth of the reading and not, as a cryptographic one, more than all the rest of a look-up.
fn checksum(record: &[u8]) -> [u8; 8] {
    let digest = XxHash3_64::oneshot(&record[..32]);
    XxHash3_64::oneshot_with_seed(digest, &record[40..]).to_le_bytes()
}
