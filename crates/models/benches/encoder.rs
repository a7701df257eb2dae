//! The bare encoder in tokens per second: each precision on one thread and on all, and the tokenizer by itself.
//!
//! NIGHTJAR_TEST_MODEL_DIR names the model, NIGHTJAR_BENCH_TEXTS a file with one text a line (made-up texts otherwise).

// A benchmark stops at the first error.
#![allow(clippy::unwrap_used, missing_docs)]

mod workload;

use std::ops::ControlFlow;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nightjar_models::{EncoderOptions, Precision, TextEncoder};
use rayon::ThreadPool;

fn encoder(criterion: &mut Criterion) {
    let Some(dir) = workload::model_dir() else { return };
    let texts = workload::texts();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let pools = pools();
    let mut group = criterion.benchmark_group("encoder");
    group.sample_size(10);
    for precision in Precision::ALL {
        let encoder = TextEncoder::load_with(&dir, &EncoderOptions::from(precision)).unwrap();
        let job = encoder.prepare(&texts);
        group.throughput(Throughput::Elements(job.total_tokens() as u64));
        if precision == Precision::F32 {
            for pool in &pools {
                group.bench_function(format!("tokenize/{}", threads(pool)), |bencher| {
                    bencher.iter(|| pool.install(|| encoder.prepare(&texts)));
                });
            }
        }
        for pool in &pools {
            group.bench_function(format!("{precision}/{}", threads(pool)), |bencher| {
                bencher.iter(|| {
                    pool.install(|| encoder.encode_all(&job, |_| ControlFlow::Continue(()))).unwrap()
                });
            });
        }
    }
    group.finish();
}

/// Returns a pool of one thread, and one of all, where there are more.
fn pools() -> Vec<ThreadPool> {
    let all = std::thread::available_parallelism().unwrap().get();
    let counts = if all > 1 { vec![1, all] } else { vec![1] };
    counts
        .into_iter()
        .map(|threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap())
        .collect()
}

fn threads(pool: &ThreadPool) -> String {
    match pool.current_num_threads() {
        1 => "1 thread".to_owned(),
        threads => format!("{threads} threads"),
    }
}

criterion_group!(benches, encoder);
criterion_main!(benches);
