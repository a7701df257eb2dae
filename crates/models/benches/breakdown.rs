//! Where the encoder's time goes: one Markdown table per precision, on one thread.
//!
//! For each micro-batch of a job it runs the encoder, and the encoder taken apart (`parts`), in turn, some rounds;
//! each counts with its least time. *The rest* is the encoder less its parts. The *ideal* of a part is its floating
//! operations at the measured ceiling: the best of many products 384→1536 of 512 rows that do nothing but store their
//! sums. Attention of int8 is bf16, and so is its ceiling. Times are without waiting for a processor.
//!
//! NIGHTJAR_TEST_MODEL_DIR names the model, NIGHTJAR_BENCH_TEXTS a file with one text a line (made-up texts otherwise),
//! NIGHTJAR_BENCH_ROUNDS the rounds (3).

// A benchmark stops at the first error.
#![allow(clippy::unwrap_used, missing_docs)]

mod parts;
mod workload;

use std::io::{self, Write};
use std::time::Duration;

use nightjar_models::{Cpu, EncodeJob, EncoderOptions, EncoderSpec, PackedTexts, Precision, TextEncoder};
use parts::{Clock, Part, Times, ceilings, parts};

fn main() {
    let Some(dir) = workload::model_dir() else { return };
    let texts = workload::texts();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let rounds = std::env::var("NIGHTJAR_BENCH_ROUNDS").map_or(3, |rounds| rounds.parse().unwrap());
    // Tokenising runs on the pool of the calling thread: a pool of one thread, and everything on it.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        let mut clock = Clock::of_this_thread();
        for precision in Precision::ALL {
            let encoder = TextEncoder::load_with(&dir, &EncoderOptions::from(precision)).unwrap();
            let measured = Measured::of(&mut clock, &encoder, precision, &texts, rounds);
            measured.print(encoder.spec(), precision).unwrap();
        }
    });
}

/// What was measured of one precision.
struct Measured {
    lengths: Vec<usize>,
    tokenize: Duration,
    /// Tokenising aside.
    encode: Duration,
    parts: Times,
    /// Floating operations per second of linear layers and of attention.
    ceilings: [f64; 2],
}

impl Measured {
    fn of(
        clock: &mut Clock,
        encoder: &TextEncoder,
        precision: Precision,
        texts: &[&str],
        rounds: usize,
    ) -> Self {
        let job = encoder.prepare(texts);
        let tokenize = (0..rounds).map(|_| clock.time(|| encoder.prepare(texts)).1).min().unwrap();
        let before = ceilings(clock, precision);
        let (encode, parts) = encode(clock, encoder, precision, &job, rounds);
        let after = ceilings(clock, precision);
        let lengths = (0..job.micro_batches()).flat_map(|i| packed(&job, i).lengths).collect();
        let ceilings = [before[0].max(after[0]), before[1].max(after[1])];
        Measured { lengths, tokenize, encode, parts, ceilings }
    }

    fn print(&self, spec: &EncoderSpec, precision: Precision) -> io::Result<()> {
        let tokens = self.lengths.iter().sum::<usize>() as f64;
        let whole = self.tokenize + self.encode;
        let micros = |time: f64| time * 1e6 / tokens;
        let mut out = io::stdout().lock();
        let row = |out: &mut io::StdoutLock<'_>, name: &str, time: f64, ideal: f64| {
            let share = 100.0 * time / whole.as_secs_f64();
            write!(out, "| {name} | {:.2} | {share:.1} % |", micros(time))?;
            match ideal > 0.0 {
                true => writeln!(out, " {:.2} | {:.0} % |", micros(ideal), 100.0 * ideal / time),
                false => writeln!(out, " | |"),
            }
        };
        let ideal = |part: Part| {
            let ceiling = self.ceilings[usize::from(part == Part::Attention)];
            part.operations(spec, &self.lengths) / ceiling
        };
        writeln!(
            out,
            "\n**{precision}** on {}: {:.0} tokens/s ({:.0} without tokenising); ceiling {:.0} GFLOP/s\n",
            Cpu::detect().name(),
            tokens / whole.as_secs_f64(),
            tokens / self.encode.as_secs_f64(),
            self.ceilings[0] / 1e9,
        )?;
        writeln!(out, "| part | µs a token | share | ideal µs | of the ceiling |")?;
        writeln!(out, "| --- | ---: | ---: | ---: | ---: |")?;
        let products = Part::ALL.iter().zip(&self.parts).filter(|(part, _)| ideal(**part) > 0.0);
        let linears = products.clone().filter(|(part, _)| **part != Part::Attention);
        for (part, time) in Part::ALL.iter().zip(&self.parts).filter(|(_, time)| !time.is_zero()) {
            row(&mut out, part.name(), time.as_secs_f64(), ideal(*part))?;
        }
        let rest = self.encode.as_secs_f64() - self.parts.iter().sum::<Duration>().as_secs_f64();
        row(&mut out, "the rest", rest, 0.0)?;
        row(&mut out, "tokenising", self.tokenize.as_secs_f64(), 0.0)?;
        let total = |(time, best): (f64, f64), (part, part_time): (&Part, &Duration)| {
            (time + part_time.as_secs_f64(), best + ideal(*part))
        };
        let (linear_time, linear_ideal) = linears.fold((0.0, 0.0), total);
        row(&mut out, "*the four products*", linear_time, linear_ideal)?;
        let (_, whole_ideal) = products.fold((0.0, 0.0), total);
        row(&mut out, "**whole**", whole.as_secs_f64(), whole_ideal)
    }
}

/// Returns the time of the encoder and of each of its parts, all micro-batches.
fn encode(
    clock: &mut Clock,
    encoder: &TextEncoder,
    precision: Precision,
    job: &EncodeJob,
    rounds: usize,
) -> (Duration, Times) {
    let mut taken_apart = parts(encoder.spec(), precision);
    let (mut whole, mut sums) = (Duration::ZERO, Times::default());
    for i in 0..job.micro_batches() {
        let texts = packed(job, i);
        let mut out = vec![0.0; texts.lengths.len() * encoder.spec().dim];
        let mut least = Duration::MAX;
        let mut least_parts = [Duration::MAX; Part::ALL.len()];
        for _ in 0..rounds {
            least = least.min(clock.time(|| encoder.encode(job, i, &mut out).unwrap()).1);
            let times = taken_apart.run(clock, &texts);
            // The parts of one round: the least of each by itself would be less than any whole.
            let total =
                |times: &Times| times.iter().fold(Duration::ZERO, |sum, &time| sum.saturating_add(time));
            if total(&times) < total(&least_parts) {
                least_parts = times;
            }
        }
        whole += least;
        sums.iter_mut().zip(least_parts).for_each(|(sum, time)| *sum += time);
    }
    (whole, sums)
}

fn packed(job: &EncodeJob, i: usize) -> PackedTexts {
    let mut texts = PackedTexts::default();
    job.pack(i, &mut texts);
    texts
}
