//! `nightjar serve` and `nightjar jobs run-due`: who runs the jobs of a store.

use std::io::Write;
use std::sync::Arc;

use futures::FutureExt;
use nightjar_catalog::Store;
use nightjar_cluster::Address;
use nightjar_engine::EngineError;
use nightjar_server::{
    Daemon, ExecutorRow, Executors, HttpServer, HttpSettings, Place, ServerState, TlsFiles,
};
use nightjar_statements::clock_in_words;
use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

use crate::args::{Args, ServeArgs};
use crate::console::say;
use crate::error::{CliError, Result};
use crate::log_lines::{self, Voices};

/// The stack of the daemon's threads, which read schedules and options.
const STACK_BYTES: usize = 8 << 20;

/// How many runs one pass of `run-due` has at work at once.
const RUNS_AT_ONCE: usize = 4;

/// Runs the jobs of the store until it is told to stop.
pub(crate) async fn serve(args: &Args, serve: &ServeArgs) -> Result<()> {
    log_lines::begin(Voices::All);
    tell_clock()?;
    let store = Store::open(args.store())?;
    let cluster = args.cluster()?;
    let settings = settings(serve)?;
    let daemon = Daemon::new(store.clone(), place(cluster.clone()), Handle::current(), serve.max_runs.get());
    let mut state = ServerState::new(store, daemon.ready());
    state.pass_times = Some(daemon.pass_times());
    state.executors = cluster.map(executors);
    let no_http = serve.no_http;
    apart(async move {
        let signals = signals();
        if !no_http {
            let server = HttpServer::bind(settings, state).await?;
            let mut out = std::io::stdout().lock();
            writeln!(out, "{}", server.url())?;
            out.flush()?;
            // While runs end, who watches is told of them: the first signal is the daemon's only.
            tokio::spawn(server.run(nth(signals.clone(), 2)));
        }
        Ok(daemon.serve(nth(signals.clone(), 1), nth(signals, 2)).await?)
    })
    .await
}

/// Runs what is due, once.
pub(crate) async fn run_due(args: &Args) -> Result<()> {
    log_lines::begin(Voices::All);
    tell_clock()?;
    let store = Store::open(args.store())?;
    let daemon = Daemon::new(store, place(args.cluster()?), Handle::current(), RUNS_AT_ONCE);
    let Some(runs) = apart(async move { Ok(daemon.run_due().await?) }).await? else {
        say("a daemon is at the jobs of this store; nothing was done");
        return Ok(());
    };
    let mut out = std::io::stdout().lock();
    for run in &runs {
        writeln!(out, "{}\t{}\t{}", run.run_id, run.job, run.status)?;
    }
    out.flush()?;
    let failed = runs.iter().filter(|run| run.status != "succeeded").count();
    match failed {
        0 => Ok(()),
        _ => Err(CliError::RunsFailed { failed, all: runs.len() }),
    }
}

/// Says which clock jobs go by, where it is not the machine's: nobody should find that out from the ledger.
fn tell_clock() -> Result<()> {
    if let Some(words) = clock_in_words().map_err(EngineError::from)? {
        log::warn!("{words}");
    }
    Ok(())
}

/// Runs the daemon apart from the statements, whose threads may all be at work for seconds.
async fn apart<T: Send + 'static>(daemon: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("daemon")
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .map_err(CliError::Launch)?;
    let ended = runtime.spawn(daemon).await;
    runtime.shutdown_background();
    ended.map_err(|error| CliError::Internal(error.to_string()))?
}

fn place(cluster: Option<Address>) -> Place {
    cluster.map_or(Place::Local, Place::Cluster)
}

fn settings(serve: &ServeArgs) -> Result<HttpSettings> {
    let token = match &serve.token_file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|source| CliError::TokenUnreadable { path: path.clone(), source })?;
            Some(text.trim().to_owned())
        }
        None => std::env::var("NIGHTJAR_TOKEN").ok().filter(|token| !token.is_empty()),
    };
    let tls = serve.tls_cert.clone().zip(serve.tls_key.clone()).map(|(cert, key)| TlsFiles { cert, key });
    Ok(HttpSettings { bind: serve.http, token, tls })
}

fn executors(scheduler: Address) -> Executors {
    Arc::new(move || {
        let scheduler = scheduler.clone();
        async move {
            let found = nightjar_cluster::executors(&scheduler).await.unwrap_or_default();
            let row = |executor: nightjar_engine::ExecutorState| ExecutorRow {
                id: executor.id,
                address: executor.address,
                vcores: executor.vcores,
                last_heard: executor.last_heard,
            };
            found.into_iter().map(row).collect()
        }
        .boxed()
    })
}

/// Counts the signals that ask the process to end.
fn signals() -> watch::Receiver<u32> {
    let (sender, receiver) = watch::channel(0);
    tokio::spawn(async move {
        loop {
            if !asked_to_end().await {
                // Without signals the process ends as it always did.
                return;
            }
            sender.send_modify(|count| *count += 1);
        }
    });
    receiver
}

#[cfg(unix)]
async fn asked_to_end() -> bool {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return false };
    tokio::select! {
        _ = terminate.recv() => true,
        pressed = tokio::signal::ctrl_c() => pressed.is_ok(),
    }
}

#[cfg(not(unix))]
async fn asked_to_end() -> bool {
    tokio::signal::ctrl_c().await.is_ok()
}

/// Is over when so many signals have come.
async fn nth(mut signals: watch::Receiver<u32>, count: u32) {
    if signals.wait_for(|seen| *seen >= count).await.is_err() {
        std::future::pending::<()>().await;
    }
}
