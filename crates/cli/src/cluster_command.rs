//! `nightjar scheduler` and `nightjar executor`: the roles of a cluster.

use std::io::Write;

use nightjar_catalog::StoreFiles;
use nightjar_cluster::{Executor, Scheduler};

use crate::args::{Args, ExecutorArgs, SchedulerArgs};
use crate::error::Result;
use crate::interrupt::Interrupt;
use crate::log_lines;

/// Serves as a scheduler until it is told to stop.
pub(crate) async fn schedule(args: &Args, scheduler: &SchedulerArgs) -> Result<()> {
    log_lines::begin();
    let files = StoreFiles::open(args.store())?;
    let scheduler = Scheduler::bind(&scheduler.bind, scheduler.advertise.clone(), files).await?;
    announce(&scheduler.address().to_string())?;
    // A scheduler keeps nothing that could be half-written.
    Interrupt::new().or(scheduler.run()).await??;
    Ok(())
}

/// Serves as an executor until it is told to stop.
pub(crate) async fn execute(args: &Args, executor: &ExecutorArgs) -> Result<()> {
    log_lines::begin();
    let executor = Executor {
        scheduler: executor.scheduler.clone(),
        bind: executor.bind.clone(),
        advertised: executor.advertise.clone(),
        vcores: executor.vcores,
        work_dir: executor.work_dir.clone(),
        files: StoreFiles::open(args.store())?,
    };
    // It hears Ctrl-C and SIGTERM itself, and finishes its tasks first.
    Ok(executor.run().await?)
}

fn announce(address: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{address}")?;
    Ok(out.flush()?)
}
