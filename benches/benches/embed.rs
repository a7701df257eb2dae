//! Embedding the project's reviews: the bare encoder, and `SELECT embed(review)` over the CSV file.

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
    let (encoder, _) = Models::new(session.store().clone()).encoder(&version.card, Precision::F32).unwrap();
    let tokens = encoder.prepare(&texts).total_tokens();

    let mut group = criterion.benchmark_group("embed");
    group.sample_size(10).throughput(Throughput::Elements(tokens as u64));
    group.bench_function("encoder", |bencher| bencher.iter(|| encoder.embed(&texts).unwrap()));
    let sql = format!("SELECT embed(review, '{BASE_MODEL}') FROM '{}'", reviews_path().display());
    group.bench_function("sql", |bencher| {
        bencher
            .iter(|| runtime.block_on(async { session.sql(&sql).await.unwrap().collect().await.unwrap() }));
    });
    group.finish();
}

criterion_group!(benches, embed);
criterion_main!(benches);
