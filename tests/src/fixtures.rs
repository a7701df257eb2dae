//! The files that slt files read: the same sixty reviews in every format, and some that are wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
};
use datafusion::arrow::ipc::writer::StreamWriter;
use datafusion::prelude::SessionContext;
use tempfile::TempDir;

use crate::avro::{write_avro, write_unions};
use crate::parquet_files::write_parquet_files;
use crate::text_files::write_text_files;

/// One labelled row. Its words are tokens of the tiny model, so that a head can tell the labels apart.
#[derive(Debug, Clone)]
pub struct Review {
    /// From 1, in file order; odd ones are good.
    pub id: i64,
    /// `the <product> is <word>`, once each.
    pub review: String,
    /// `good` or `bad`.
    pub label: &'static str,
    /// 5 or 4 for good ones, 1 or 2 for bad ones.
    pub stars: f64,
    /// Whether the label is `good`.
    pub helpful: bool,
    /// The noun.
    pub product: &'static str,
}

const GOOD: [&str; 10] = [
    "great",
    "excellent",
    "amazing",
    "perfect",
    "wonderful",
    "beautiful",
    "happy",
    "nice",
    "loved",
    "useful",
];
const BAD: [&str; 10] =
    ["terrible", "awful", "horrible", "broken", "useless", "boring", "ugly", "dirty", "hated", "poor"];
const PRODUCTS: [&str; 3] = ["phone", "hotel", "movie"];

/// The sixty reviews: thirty good and thirty bad ones, ten of each on each product.
pub static REVIEWS: LazyLock<Vec<Review>> = LazyLock::new(|| {
    let words = GOOD.iter().zip(BAD).flat_map(|(good, bad)| [(*good, true), (bad, false)]);
    let rows = PRODUCTS.iter().flat_map(|product| words.clone().map(move |word| (*product, word)));
    rows.zip(1..)
        .map(|((product, (word, good)), id)| Review {
            id,
            review: format!("the {product} is {word}"),
            label: if good { "good" } else { "bad" },
            stars: if good { 5.0 } else { 2.0 } - f64::from(u8::from(product == "movie")),
            helpful: good,
            product,
        })
        .collect()
});

/// The folder of fixture files; it goes away with the value.
#[derive(Debug)]
pub struct Fixtures {
    folder: TempDir,
}

impl Fixtures {
    /// Writes the files.
    pub async fn write() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        let context = SessionContext::new();
        context.register_batch("reviews", batch(&REVIEWS)).expect("the reviews");
        context.register_batch("bytes", bytes()).expect("the bytes");
        let copies = [
            ("reviews", "reviews.parquet", "PARQUET", ""),
            ("reviews", "Shouting.PARQUET", "PARQUET", ""),
            ("reviews", "reviews.csv", "CSV", "OPTIONS ('format.has_header' 'true')"),
            (
                "reviews",
                "reviews.tsv",
                "CSV",
                "OPTIONS ('format.has_header' 'true', 'format.delimiter' '\t')",
            ),
            (
                "reviews",
                "reviews.csv.gz",
                "CSV",
                "OPTIONS ('format.has_header' 'true', 'format.compression' 'gzip')",
            ),
            ("reviews", "reviews.json", "JSON", ""),
            ("reviews", "reviews.jsonl", "JSON", ""),
            ("reviews", "reviews.ndjson", "JSON", ""),
            ("reviews", "reviews.arrow", "ARROW", ""),
            ("reviews", "kinds/file.arrow", "ARROW", ""),
            ("(SELECT * FROM reviews WHERE id <= 20)", "parts/part-0.parquet", "PARQUET", ""),
            ("(SELECT * FROM reviews WHERE id > 20 AND id <= 40)", "parts/part-1.parquet", "PARQUET", ""),
            ("(SELECT * FROM reviews WHERE id > 40)", "parts/part-2.parquet", "PARQUET", ""),
            ("(SELECT * FROM reviews WHERE id <= 30)", "years/year=2025/a.parquet", "PARQUET", ""),
            ("(SELECT * FROM reviews WHERE id > 30)", "years/year=2026/a.parquet", "PARQUET", ""),
            ("(SELECT * FROM reviews WHERE id < 0)", "none.parquet", "PARQUET", ""),
            ("bytes", "bytes.parquet", "PARQUET", ""),
            ("(SELECT 1 AS id)", "pruned/day=06/a.parquet", "PARQUET", ""),
        ];
        for (from, to, format, options) in copies {
            let path = at(to);
            fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
            let from =
                if from.starts_with('(') { from.to_owned() } else { format!("(SELECT * FROM {from})") };
            // A folder and a file of one name, where COPY can't tell: it writes a single file for a path with an ending.
            let sql = format!("COPY {from} TO '{}' STORED AS {format} {options}", path.display());
            let copied = context.sql(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
            copied.collect().await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        write_avro(&at("reviews.avro"), &REVIEWS);
        write_unions(&at("unions.avro"));
        let reviews = context.table("reviews").await.expect("the table").collect().await.expect("its rows");
        for to in ["stream.arrow", "kinds/stream.arrow"] {
            let file = fs::File::create(at(to)).expect(to);
            let mut stream = StreamWriter::try_new(file, &reviews[0].schema()).expect("a stream");
            reviews.iter().for_each(|batch| stream.write(batch).expect("a batch"));
            stream.finish().expect("the stream's end");
        }
        fs::create_dir(at("written")).expect("the folder of other writers");
        write_parquet_files(&at("written"));
        fs::write(at("parts/_SUCCESS"), "").expect("_SUCCESS");
        fs::write(at("parts/.part-0.parquet.crc"), "crc").expect("a checksum");
        fs::create_dir(at("empty")).expect("the empty folder");
        fs::create_dir(at("only_markers")).expect("the folder of markers");
        fs::write(at("only_markers/_SUCCESS"), "").expect("_SUCCESS");
        fs::write(at("report.pdf"), "%PDF").expect("the unknown format");
        fs::write(at("no_ending"), "text").expect("the file without ending");
        fs::write(at("broken.parquet"), "this is no Parquet").expect("the broken file");
        fs::create_dir(at("pruned/day=07")).expect("the folder of a broken file");
        fs::write(at("pruned/day=07/a.parquet"), "this is no Parquet").expect("the broken file");
        write_text_files(&at("text"));
        Self { folder }
    }

    /// Returns the folder.
    pub fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}

impl AsRef<Path> for Fixtures {
    fn as_ref(&self) -> &Path {
        self.folder.path()
    }
}

fn batch(rows: &[Review]) -> RecordBatch {
    let columns: [(&str, ArrayRef); 6] = [
        ("id", Arc::new(rows.iter().map(|row| row.id).collect::<Int64Array>())),
        ("review", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.review)))),
        ("label", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.label)))),
        ("stars", Arc::new(rows.iter().map(|row| row.stars).collect::<Float64Array>())),
        ("helpful", Arc::new(rows.iter().map(|row| Some(row.helpful)).collect::<BooleanArray>())),
        ("product", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.product)))),
    ];
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

/// Texts as bytes: row 3 is no UTF-8, row 4 is NULL.
fn bytes() -> RecordBatch {
    let texts: Vec<Option<&[u8]>> =
        vec![Some(b"good"), Some("caf\u{e9} \u{1f642}".as_bytes()), Some(b"\xff\xfe"), None];
    let columns: [(&str, ArrayRef); 2] = [
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3, 4]))),
        ("bytes", Arc::new(BinaryArray::from_opt_vec(texts))),
    ];
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}
