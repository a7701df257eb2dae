//! A minimal Avro container file, written by hand: the specification's object container file, without compression.

use std::path::Path;

use crate::fixtures::Review;

const SCHEMA: &str = r#"{"type":"record","name":"review","fields":[{"name":"id","type":"long"},{"name":"review","type":"string"},{"name":"label","type":"string"},{"name":"stars","type":"double"},{"name":"helpful","type":"boolean"},{"name":"product","type":"string"}]}"#;

const UNIONS: &str = r#"{"type":"record","name":"u","fields":[{"name":"id","type":"long"},{"name":"v","type":["null","long","string"]}]}"#;

/// Writes the rows as an Avro file of one block.
pub(crate) fn write_avro(path: &Path, rows: &[Review]) {
    let mut block = Vec::new();
    for row in rows {
        long(&mut block, row.id);
        text(&mut block, &row.review);
        text(&mut block, row.label);
        block.extend(row.stars.to_le_bytes());
        block.push(u8::from(row.helpful));
        text(&mut block, row.product);
    }
    write(path, SCHEMA, rows.len(), &block);
}

/// Writes four rows whose values are a number, a text of digits, nothing and a text.
pub(crate) fn write_unions(path: &Path) {
    let mut block = Vec::new();
    for (id, value) in [(1, Some(Ok(12))), (2, Some(Err("007"))), (3, None), (4, Some(Err("x")))] {
        long(&mut block, id);
        match value {
            None => long(&mut block, 0),
            Some(Ok(number)) => {
                long(&mut block, 1);
                long(&mut block, number);
            }
            Some(Err(value)) => {
                long(&mut block, 2);
                text(&mut block, value);
            }
        }
    }
    write(path, UNIONS, 4, &block);
}

fn write(path: &Path, schema: &str, rows: usize, block: &[u8]) {
    let sync = [7_u8; 16];
    let mut file = b"Obj\x01".to_vec();
    long(&mut file, 2);
    text(&mut file, "avro.schema");
    text(&mut file, schema);
    text(&mut file, "avro.codec");
    text(&mut file, "null");
    long(&mut file, 0);
    file.extend(sync);
    long(&mut file, rows as i64);
    long(&mut file, block.len() as i64);
    file.extend(block);
    file.extend(sync);
    std::fs::write(path, file).expect("the Avro file");
}

/// Zigzag, then seven bits a byte, the least significant first.
fn long(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn text(out: &mut Vec<u8>, value: &str) {
    long(out, value.len() as i64);
    out.extend(value.as_bytes());
}
