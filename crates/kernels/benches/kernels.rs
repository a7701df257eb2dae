//! Each kernel by itself, on the shapes of all-MiniLM-L6-v2 (hidden 384, feed-forward 1536, 12 heads of 32).
//!
//! Products and attention report floating operations as elements, so that `Gelem/s` reads as GFLOP/s; layer norm and
//! quantisation report the numbers they read. Measures the best instruction set of this CPU;
//! `NIGHTJAR_BENCH_CPUS=all` measures each that it has.

// A benchmark stops at the first error.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use nightjar_kernels::{
    AttentionScratch, Bf16, ByteRows, Cpu, Element, Heads, LayerNorm, Linear, Precision, Rows, attend,
};

const HIDDEN: usize = 384;
const FEED_FORWARD: usize = 1536;
const HEADS: Heads = Heads { count: 12, width: 32, scaled_width: 32 };

/// Rows of a micro-batch.
const ROWS: usize = 512;

/// What a linear layer does with its sums.
#[derive(Clone, Copy)]
enum Then {
    Store,
    Gelu,
    Add,
}

/// The linear layers of the encoder: inputs, outputs, rows, and what follows. The first fits into the first-level
/// cache: what the inner loop does where memory costs nothing.
const LINEARS: [(&str, [usize; 3], Then); 5] = [
    ("one tile", [HIDDEN, 48, 8], Then::Store),
    ("query, key and value", [HIDDEN, 3 * HIDDEN, ROWS], Then::Store),
    ("attention output, added", [HIDDEN, HIDDEN, ROWS], Then::Add),
    ("up, GELU", [HIDDEN, FEED_FORWARD, ROWS], Then::Gelu),
    ("down, added", [FEED_FORWARD, HIDDEN, ROWS], Then::Add),
];

/// Returns numbers between -1 and 1, the same in each run.
fn numbers<T: Element>(count: usize) -> Vec<T> {
    let mut state = 1u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        T::of((state >> 8) as f32 / (1 << 23) as f32 - 1.0)
    };
    std::iter::repeat_with(next).take(count).collect()
}

fn cpus() -> Vec<Cpu> {
    match std::env::var("NIGHTJAR_BENCH_CPUS").as_deref() {
        Ok("all") => Cpu::available(),
        _ => vec![Cpu::detect()],
    }
}

fn linear(criterion: &mut Criterion) {
    for cpu in cpus() {
        for precision in Precision::ALL {
            let mut group = criterion.benchmark_group(format!("linear/{}/{precision}", cpu.name()));
            for (name, shape, then) in LINEARS {
                match precision {
                    Precision::F32 => layer::<f32>(&mut group, cpu, precision, name, shape, then),
                    _ => layer::<Bf16>(&mut group, cpu, precision, name, shape, then),
                }
            }
            group.finish();
        }
    }
}

fn layer<T: Element>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    cpu: Cpu,
    precision: Precision,
    name: &str,
    [inputs, outputs, rows]: [usize; 3],
    then: Then,
) {
    let layer = Linear::pack(&numbers::<f32>(outputs * inputs), &numbers::<f32>(outputs), inputs, precision);
    let values = numbers::<T>(rows * inputs);
    let mut bytes = ByteRows::default();
    bytes.quantize(cpu, &values, inputs);
    let rows_of = || if precision == Precision::Int8 { Rows::Int8(&bytes) } else { T::rows(&values) };
    let mut out = vec![T::default(); rows * outputs];
    let mut residual = vec![0.0; rows * outputs];
    group.throughput(Throughput::Elements(2 * (rows * inputs * outputs) as u64));
    group.bench_function(format!("{name} {inputs}→{outputs}"), |bencher| {
        bencher.iter(|| match then {
            Then::Store => layer.apply(cpu, rows_of(), black_box(&mut out)),
            Then::Gelu => layer.apply_gelu(cpu, rows_of(), black_box(&mut out)),
            Then::Add => layer.add_to(cpu, rows_of(), black_box(&mut residual)),
        });
    });
}

fn attention(criterion: &mut Criterion) {
    for cpu in cpus() {
        attention_of::<f32>(criterion, cpu, Precision::F32);
        attention_of::<Bf16>(criterion, cpu, Precision::Bf16);
    }
}

fn attention_of<T: Element>(criterion: &mut Criterion, cpu: Cpu, precision: Precision) {
    let mut group = criterion.benchmark_group(format!("attention/{}/{precision}", cpu.name()));
    let width = HEADS.count * HEADS.width;
    let qkv = numbers::<T>(ROWS * 3 * width);
    let mut out = vec![T::default(); ROWS * width];
    let mut scratch = AttentionScratch::default();
    for length in [16, 64, 256] {
        let lengths = vec![length; ROWS / length];
        group.throughput(Throughput::Elements(4 * (ROWS * length * width) as u64));
        group.bench_function(format!("{} texts of {length} tokens", lengths.len()), |bencher| {
            bencher.iter(|| attend(cpu, &qkv, &lengths, HEADS, black_box(&mut out), &mut scratch));
        });
    }
    group.finish();
}

fn rows(criterion: &mut Criterion) {
    for cpu in cpus() {
        let mut group = criterion.benchmark_group(format!("rows/{}", cpu.name()));
        let mut states = numbers::<f32>(ROWS * HIDDEN);
        let mut copy = vec![Bf16::default(); ROWS * HIDDEN];
        let norm = LayerNorm::new(vec![1.0; HIDDEN], vec![0.0; HIDDEN], 1e-12);
        group.throughput(Throughput::Elements((ROWS * HIDDEN) as u64));
        group.bench_function("layer norm of 384", |bencher| {
            bencher.iter(|| norm.apply(cpu, black_box(&mut states)));
        });
        group.bench_function("layer norm of 384, copied as bf16", |bencher| {
            bencher.iter(|| norm.apply_and_copy(cpu, black_box(&mut states), &mut copy));
        });
        let mut bytes = ByteRows::default();
        group.bench_function("quantize 384 of f32", |bencher| {
            bencher.iter(|| bytes.quantize(cpu, black_box(&states), HIDDEN));
        });
        let inner = numbers::<Bf16>(ROWS * FEED_FORWARD);
        group.throughput(Throughput::Elements((ROWS * FEED_FORWARD) as u64));
        group.bench_function("quantize 1536 of bf16", |bencher| {
            bencher.iter(|| bytes.quantize(cpu, black_box(&inner), FEED_FORWARD));
        });
        group.finish();
    }
}

criterion_group!(benches, linear, attention, rows);
criterion_main!(benches);
