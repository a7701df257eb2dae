//! TPC-H's 22 queries in a local Nightjar session beside plain DataFusion, in turn: seconds of each, and their ratio.
//!
//! `NIGHTJAR_TPCH_SCALE` (1) is the scale, `NIGHTJAR_BENCH_ROUNDS` (3) how often each query runs; the table has medians.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::Instant;

use datafusion::prelude::SessionContext;
use nightjar_engine::{Session, session_config};
use nightjar_tests::{TestStore, Tpch, TpchQuery, is_query};

/// Unoptimised, DataFusion's planner needs more than the 2 MiB that threads have by default.
const STACK_BYTES: usize = 32 << 20;

/// The plain and the local seconds of a query.
type Seconds = (f64, f64);

async fn plain_rows(context: &SessionContext, sql: &str) -> usize {
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
    batches.iter().map(|batch| batch.num_rows()).sum()
}

async fn local_rows(session: &Session, sql: &str) -> usize {
    let batches = session.sql(sql).await.unwrap().collect().await.unwrap();
    batches.iter().map(|batch| batch.num_rows()).sum()
}

/// Runs a query's statements and returns the seconds of the one that has rows, planning included, and their number.
async fn seconds(query: &TpchQuery, run: impl AsyncFn(&str) -> usize) -> (f64, usize) {
    let mut answer = (0.0, 0);
    for statement in &query.statements {
        let began = Instant::now();
        let rows = run(statement).await;
        if is_query(statement) {
            answer = (began.elapsed().as_secs_f64(), rows);
        }
    }
    answer
}

/// Runs a query in both, in turn; who is first changes from round to round.
async fn round(query: &TpchQuery, context: &SessionContext, session: &Session, round: usize) -> Seconds {
    let plain = async || seconds(query, async |sql| plain_rows(context, sql).await).await;
    let local = async || seconds(query, async |sql| local_rows(session, sql).await).await;
    let (plain, local) = if round.is_multiple_of(2) {
        let plain = plain().await;
        (plain, local().await)
    } else {
        let local = local().await;
        (plain().await, local)
    };
    assert_eq!(plain.1, local.1, "the rows of Q{}", query.number);
    (plain.0, local.0)
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

async fn measure(scale: f64, rounds: usize) {
    let tables = Tpch::generate(scale);
    let store = TestStore::new(1);
    let session = Session::new(store.open().unwrap(), session_config());
    let context = SessionContext::new();
    for create in tables.create_tables() {
        plain_rows(&context, &create).await;
        local_rows(&session, &create).await;
    }
    println!("TPC-H at scale {scale}, medians of {rounds} rounds, seconds\n");
    println!("| query | DataFusion | Nightjar | ratio |");
    println!("| ---: | ---: | ---: | ---: |");
    let mut total = (0.0, 0.0);
    for query in TpchQuery::all() {
        // Not measured: the first run reads the files' metadata, and the disk.
        round(&query, &context, &session, 0).await;
        let (mut plain, mut local) = (Vec::new(), Vec::new());
        for number in 0..rounds {
            let (p, l) = round(&query, &context, &session, number).await;
            plain.push(p);
            local.push(l);
        }
        let (p, l) = (median(plain), median(local));
        total = (total.0 + p, total.1 + l);
        println!("| {} | {p:.3} | {l:.3} | {:.3} |", query.number, l / p);
    }
    println!("| all | {:.3} | {:.3} | {:.3} |", total.0, total.1, total.1 / total.0);
}

fn main() {
    // `cargo test --all-targets` runs benchmarks without this argument: not the place to measure.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<f64>().unwrap());
    let scale = number("NIGHTJAR_TPCH_SCALE").unwrap_or(1.0);
    let rounds = number("NIGHTJAR_BENCH_ROUNDS").unwrap_or(3.0) as usize;
    let all = move || {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().thread_stack_size(STACK_BYTES).enable_all().build();
        runtime.unwrap().block_on(measure(scale, rounds.max(1)));
    };
    std::thread::Builder::new().stack_size(STACK_BYTES).spawn(all).unwrap().join().unwrap();
}
