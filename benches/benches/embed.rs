//! Embedding the project's reviews: the bare encoder, and `SELECT embed(review)` over the CSV file, in one precision each time.

// A benchmark stops at the first error.
#![allow(clippy::unwrap_used, missing_docs)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nightjar_benches::{BASE_MODEL, reviews, reviews_path, session};
use nightjar_functions::Models;
use nightjar_models::Precision;

fn embed(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let session = session().unwrap();
    let texts = runtime.block_on(reviews(&session)).unwrap();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let version = session.store().catalog().model_version(&BASE_MODEL.parse().unwrap()).unwrap();
    let models = Models::new(session.store().clone());
    let run =
        |sql: &str| runtime.block_on(async { session.sql(sql).await.unwrap().collect().await.unwrap() });
    let sql = format!("SELECT embed(review, '{BASE_MODEL}') FROM '{}'", reviews_path().display());

    let mut group = criterion.benchmark_group("embed");
    group.sample_size(10);
    for precision in [Precision::F32, Precision::fastest_true()] {
        let (encoder, _) = models.encoder(&version.card, precision).unwrap();
        group.throughput(Throughput::Elements(encoder.prepare(&texts).total_tokens() as u64));
        group.bench_function(format!("encoder/{precision}"), |bencher| {
            bencher.iter(|| encoder.embed(&texts).unwrap())
        });
        run(&format!("SET nightjar.precision = '{precision}'"));
        group.bench_function(format!("sql/{precision}"), |bencher| bencher.iter(|| run(&sql)));
    }
    group.finish();
}

criterion_group!(benches, embed);
criterion_main!(benches);
