//! `nightjar scheduler` and `nightjar executor`, the roles of a cluster, and `nightjar health`, which asks how they are.

use std::io::Write;

use nightjar_catalog::StoreFiles;
use nightjar_cluster::{Address, Executor, Scheduler};

use crate::args::{Args, ExecutorArgs, HealthArgs, SchedulerArgs};
use crate::console::say;
use crate::error::Result;
use crate::interrupt::Interrupt;
use crate::log_lines::{self, Voices};

/// Serves as a scheduler until it is told to stop.
pub(crate) async fn schedule(args: &Args, scheduler: &SchedulerArgs) -> Result<()> {
    log_lines::begin(Voices::All);
    let files = StoreFiles::open(args.store())?;
    let scheduler = Scheduler::bind(&scheduler.bind, scheduler.advertise.clone(), files).await?;
    let address = scheduler.address();
    announce(&address.to_string())?;
    if !args.quiet {
        say(&format!(
            "scheduler {address} works: nightjar executor --scheduler {address} joins it, --cluster {address} runs statements on it"
        ));
    }
    // A scheduler keeps nothing that could be half-written.
    Interrupt::new().or(scheduler.run()).await??;
    Ok(())
}

/// Serves as an executor until it is told to stop.
pub(crate) async fn execute(args: &Args, executor: &ExecutorArgs) -> Result<()> {
    log_lines::begin(Voices::All);
    let executor = Executor {
        scheduler: executor.scheduler.clone(),
        bind: executor.bind.clone(),
        task_port: executor.task_port,
        advertised: executor.advertise.clone(),
        vcores: executor.vcores,
        work_dir: executor.work_dir.clone(),
        files: StoreFiles::open(args.store())?,
    };
    // It hears Ctrl-C and SIGTERM itself, and finishes its tasks first.
    let quiet = args.quiet;
    let told = move |line: String| {
        if !quiet {
            say(&line);
        }
    };
    Ok(executor.run(told).await?)
}

/// Tells how the cluster is, or a daemon, or what is wrong with it.
pub(crate) async fn health(args: &Args, health: &HealthArgs) -> Result<()> {
    if let Some(url) = &health.daemon {
        nightjar_server::daemon_health(url).await?;
        return announce(&format!("the daemon at {url} is alive"));
    }
    let scheduler = args.cluster()?.unwrap_or(Address::loopback(Address::SCHEDULER_PORT));
    let executors = nightjar_cluster::health(&scheduler, health.executor.as_ref()).await?;
    let vcores: u32 = executors.iter().map(|executor| executor.vcores).sum();
    announce(&format!("scheduler {scheduler}, executors {}, vcores {vcores}", executors.len()))
}

fn announce(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
