//! TPC-H: its eight tables as Parquet files, its 22 queries, and the answers that its authors publish.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use datafusion::parquet::arrow::ArrowWriter;
use tempfile::TempDir;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator,
    RegionGenerator, SupplierGenerator,
};
use tpchgen::q_and_a::answers_sf1;
use tpchgen_arrow::arrow::record_batch::RecordBatchReader;
use tpchgen_arrow::{
    CustomerArrow, LineItemArrow, NationArrow, OrderArrow, PartArrow, PartSuppArrow, RegionArrow,
    SupplierArrow,
};

/// Makes the rows of one file of a table: scale, part from 1, number of parts.
type Rows = fn(f64, i32, i32) -> Box<dyn RecordBatchReader>;

/// A table: its name, its rows, and how many files it is written to, so that scans have partitions.
struct Table {
    name: &'static str,
    rows: Rows,
    files: i32,
}

const TABLES: [Table; 8] = [
    Table {
        name: "region",
        rows: |s, p, n| boxed(RegionArrow::new(RegionGenerator::new(s, p, n))),
        files: 1,
    },
    Table {
        name: "nation",
        rows: |s, p, n| boxed(NationArrow::new(NationGenerator::new(s, p, n))),
        files: 1,
    },
    Table {
        name: "supplier",
        rows: |s, p, n| boxed(SupplierArrow::new(SupplierGenerator::new(s, p, n))),
        files: 1,
    },
    Table {
        name: "customer",
        rows: |s, p, n| boxed(CustomerArrow::new(CustomerGenerator::new(s, p, n))),
        files: 2,
    },
    Table { name: "part", rows: |s, p, n| boxed(PartArrow::new(PartGenerator::new(s, p, n))), files: 2 },
    Table {
        name: "partsupp",
        rows: |s, p, n| boxed(PartSuppArrow::new(PartSuppGenerator::new(s, p, n))),
        files: 4,
    },
    Table { name: "orders", rows: |s, p, n| boxed(OrderArrow::new(OrderGenerator::new(s, p, n))), files: 4 },
    Table {
        name: "lineitem",
        rows: |s, p, n| boxed(LineItemArrow::new(LineItemGenerator::new(s, p, n))),
        files: 4,
    },
];

fn boxed(rows: impl RecordBatchReader + 'static) -> Box<dyn RecordBatchReader> {
    Box::new(rows)
}

/// The tables' files, a folder for each table; they go away with the value.
#[derive(Debug)]
pub struct Tpch {
    folder: TempDir,
}

impl Tpch {
    /// Writes the tables at a scale; 1 is 6 million line items and 300 MB.
    pub fn generate(scale: f64) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::thread::scope(|threads| {
            for table in &TABLES {
                let path = folder.path().join(table.name);
                threads.spawn(move || write(table, &path, scale));
            }
        });
        Self { folder }
    }

    /// Returns the statements that make the files tables.
    pub fn create_tables(&self) -> Vec<String> {
        let create = |table: &Table| {
            let path = self.folder.path().join(table.name);
            format!("CREATE EXTERNAL TABLE {} STORED AS PARQUET LOCATION '{}/'", table.name, path.display())
        };
        TABLES.iter().map(create).collect()
    }
}

fn write(table: &Table, folder: &Path, scale: f64) {
    fs::create_dir(folder).expect("the table's folder");
    for part in 1..=table.files {
        let file = File::create(folder.join(format!("part-{part}.parquet"))).expect("the file");
        let rows = (table.rows)(scale, part, table.files);
        let mut writer = ArrowWriter::try_new(file, rows.schema(), None).expect("a Parquet writer");
        for batch in rows {
            writer.write(&batch.expect("rows")).expect("rows are written");
        }
        writer.close().expect("the file is whole");
    }
}

/// One of the 22 queries.
#[derive(Debug)]
pub struct TpchQuery {
    /// From 1 to 22.
    pub number: usize,
    /// What makes the query's view, the query, and what drops the view; most have the query alone.
    pub statements: Vec<String>,
    /// The columns that its rows are ordered by.
    pub order: &'static [usize],
}

/// The columns of each query's ORDER BY.
const ORDERS: [&[usize]; 22] = [
    &[0, 1],
    &[0, 2, 1, 3],
    &[1, 2],
    &[0],
    &[1],
    &[],
    &[0, 1, 2],
    &[0],
    &[0, 1],
    &[2],
    &[1],
    &[0],
    &[1, 0],
    &[],
    &[0],
    &[3, 0, 1, 2],
    &[],
    &[4, 3],
    &[],
    &[0],
    &[1, 0],
    &[0],
];

impl TpchQuery {
    /// Returns the queries as the files of `sql/tpch` have them, in order.
    pub fn all() -> Vec<Self> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../sql/tpch");
        let query = |(number, order): (usize, &'static [usize])| {
            let path = folder.join(format!("q{number:02}.sql"));
            let text =
                fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let code: Vec<&str> = text.lines().filter(|line| !line.starts_with("--")).collect();
            let code = code.join("\n");
            let statements = code.split(';').map(str::trim).filter(|statement| !statement.is_empty());
            Self { number, statements: statements.map(str::to_owned).collect(), order }
        };
        (1..).zip(ORDERS).map(query).collect()
    }

    /// Returns the rows that TPC publishes for scale 1, numbers rounded to two places.
    pub fn published(&self) -> Vec<Vec<String>> {
        let number = i32::try_from(self.number).expect("a small number");
        let table = answers_sf1::answer(number).expect("an answer");
        let rows = table.lines().filter(|line| !line.trim().is_empty()).skip(1);
        rows.map(|line| line.split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
    }
}

/// Returns whether a statement has rows to return.
pub fn is_query(statement: &str) -> bool {
    statement.starts_with("select") || statement.starts_with("with")
}
