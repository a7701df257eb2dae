//! The trainers of a process: as many for a run as can work at once, used by whichever shard comes next.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nightjar_catalog::RunFiles;
use nightjar_models::Trainer;

use super::plan::TrainingPlan;
use crate::{FunctionError, Models, Result};

/// A step that a shard has taken.
#[derive(Debug, Clone, PartialEq)]
pub struct StepEvent {
    /// The shard.
    pub shard: u32,
    /// The step's number in the training, from 1.
    pub step: u32,
    /// The mean loss of its rows.
    pub loss: f64,
    /// Its rows.
    pub rows: u64,
    /// Its tokens.
    pub tokens: u64,
}

/// The file of a run that is there while a session is.
const SESSION: &str = "session";

/// How often an executor looks whether the session of a run is still there.
const LOOK: Duration = Duration::from_secs(2);

/// The run of this process's statement: it hears of each step, and stops the run's training when it is dropped, here and on
/// executors.
///
/// An executor has no session of its own: it sees by a file of the run that there is one. A coordinator that is killed leaves the
/// file, and the shards of the round are trained to their end, for whoever resumes the run.
pub struct TrainingSession {
    run: RunFiles,
}

type Listener = Arc<dyn Fn(StepEvent) + Send + Sync>;

/// What a process keeps of a run.
struct Run {
    stopped: AtomicBool,
    /// Whether what frozen layers make of rows could not be stored: no more is tried.
    stores_no_more: AtomicBool,
    listener: Option<Listener>,
    /// When the file of the session was last looked for.
    looked: Mutex<Instant>,
    idle: Mutex<Idle>,
    freed: Condvar,
}

#[derive(Default)]
struct Idle {
    trainers: Vec<HeldTrainer>,
    working: usize,
}

/// A trainer and the round whose state it holds; None for a state of its own.
struct HeldTrainer {
    trainer: Trainer,
    holds: Option<u32>,
}

/// The runs that this process is at, by folder.
static RUNS: LazyLock<Mutex<HashMap<PathBuf, Arc<Run>>>> = LazyLock::new(Mutex::default);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl TrainingSession {
    /// Returns the session of a run; `listener` hears of each step, on the thread that takes it.
    ///
    /// # Errors
    /// Of writing a file of the run.
    pub fn begin(run: &RunFiles, listener: impl Fn(StepEvent) + Send + Sync + 'static) -> Result<Self> {
        run.write(SESSION, b"")?;
        lock(&RUNS).insert(run.folder().to_owned(), Arc::new(Run::new(Some(Arc::new(listener)))));
        Ok(TrainingSession { run: run.clone() })
    }
}

impl Drop for TrainingSession {
    fn drop(&mut self) {
        if let Some(run) = lock(&RUNS).remove(self.run.folder()) {
            run.stopped.store(true, Ordering::Relaxed);
        }
        // Where it can't be removed, executors train the round to its end.
        let _ = self.run.remove(&[SESSION.to_owned()]);
    }
}

impl Run {
    fn new(listener: Option<Listener>) -> Self {
        Run {
            stopped: AtomicBool::new(false),
            stores_no_more: AtomicBool::new(false),
            listener,
            looked: Mutex::new(Instant::now()),
            idle: Mutex::default(),
            freed: Condvar::new(),
        }
    }

    /// Returns what this process keeps of a run. An executor is told of no run's end: what it keeps of an earlier run goes when
    /// another begins.
    fn of(folder: &Path) -> Arc<Run> {
        let mut runs = lock(&RUNS);
        if let Some(run) = runs.get(folder) {
            return Arc::clone(run);
        }
        runs.retain(|_, run| run.listener.is_some() || lock(&run.idle).working > 0);
        Arc::clone(runs.entry(folder.to_owned()).or_insert_with(|| Arc::new(Run::new(None))))
    }
}

/// A trainer at work.
pub(super) struct Working {
    run: Arc<Run>,
    held: Option<HeldTrainer>,
}

impl Working {
    /// Takes a trainer of the run that holds the state after `round` (None: before the first); waits while as many work as there are
    /// cores. Called on a thread that may block.
    pub(super) fn take(
        models: &Models,
        plan: &TrainingPlan,
        files: &RunFiles,
        round: Option<u32>,
    ) -> Result<Self> {
        let run = Run::of(files.folder());
        let most = std::thread::available_parallelism().map_or(1, usize::from);
        let mut idle = lock(&run.idle);
        while idle.working >= most {
            idle = run.freed.wait(idle).unwrap_or_else(PoisonError::into_inner);
        }
        idle.working += 1;
        let fitting = idle.trainers.iter().position(|held| round.is_some() && held.holds == round);
        let found = match fitting {
            Some(fitting) => Some(idle.trainers.swap_remove(fitting)),
            None => idle.trainers.pop(),
        };
        drop(idle);
        let mut working = Working { run, held: None };
        // Whatever fails from here on, `working` is dropped and gives its place back.
        let held = match found {
            Some(held) if round.is_some() => held,
            // A training's first state is made by loading.
            _ => {
                let artifact = models.files().artifacts().open(&plan.body)?;
                HeldTrainer { trainer: Trainer::load(&artifact.dir, plan.trainer_options())?, holds: None }
            }
        };
        let held = working.held.insert(held);
        if let Some(round) = round.filter(|round| held.holds != Some(*round)) {
            held.holds = None;
            held.trainer.restore_state(&files.open(&TrainingPlan::state_file(round))?)?;
            held.holds = Some(round);
            forget_before(plan, files, round);
        }
        Ok(working)
    }

    /// Returns the trainer to change its state; afterwards it holds no round's.
    pub(super) fn change(&mut self) -> Result<&mut Trainer> {
        let held = self.held.as_mut().ok_or_else(missing)?;
        held.holds = None;
        Ok(&mut held.trainer)
    }

    /// Returns the trainer.
    pub(super) fn trainer(&self) -> Result<&Trainer> {
        self.held.as_ref().map(|held| &held.trainer).ok_or_else(missing)
    }

    /// Says that the trainer's state is that after a round.
    pub(super) fn holds(&mut self, round: u32) {
        self.held.iter_mut().for_each(|held| held.holds = Some(round));
    }

    /// Whether the run's session has ended: that of this process, or where it has none the one that another has.
    pub(super) fn is_stopped(&self, files: &RunFiles) -> bool {
        if self.run.listener.is_some() {
            return self.run.stopped.load(Ordering::Relaxed);
        }
        let mut looked = lock(&self.run.looked);
        if looked.elapsed() < LOOK {
            return false;
        }
        *looked = Instant::now();
        // A store that does not answer has not said that it is over.
        matches!(files.contains(SESSION), Ok(false))
    }

    /// Says that what frozen layers make of rows can't be stored.
    pub(super) fn store_no_more(&self) {
        self.run.stores_no_more.store(true, Ordering::Relaxed);
    }

    /// Whether someone has said so.
    pub(super) fn stores_no_more(&self) -> bool {
        self.run.stores_no_more.load(Ordering::Relaxed)
    }

    /// Tells the run's session of a step.
    pub(super) fn tell(&self, event: StepEvent) {
        self.run.listener.iter().for_each(|listener| listener(event.clone()));
    }
}

/// Removes the copies of a bucket's states that the one after a round stands for.
fn forget_before(plan: &TrainingPlan, files: &RunFiles, round: u32) {
    (0..plan.shards()).for_each(|shard| files.forget(&TrainingPlan::shard_file(round, shard)));
    if let Some(before) = round.checked_sub(1) {
        files.forget(&TrainingPlan::state_file(before));
    }
}

fn missing() -> FunctionError {
    FunctionError::Internal("a trainer at work is missing".to_owned())
}

impl Drop for Working {
    fn drop(&mut self) {
        // Where no session ends with the run, nobody would free a trainer that waits for its next round.
        let kept = self.held.take().filter(|_| self.run.listener.is_some());
        let mut idle = lock(&self.run.idle);
        idle.working -= 1;
        idle.trainers.extend(kept);
        drop(idle);
        self.run.freed.notify_one();
    }
}

/// Calls `work` with a trainer that holds a run's state after `round`.
///
/// # Errors
/// Those of `work`; of loading the model and the state.
pub fn with_trainer<T>(
    models: &Models,
    run: &RunFiles,
    round: u32,
    work: impl FnOnce(&Trainer) -> Result<T>,
) -> Result<T> {
    let plan = TrainingPlan::read(run)?;
    let working = Working::take(models, &plan, run, Some(round))?;
    work(working.trainer()?)
}

/// Runs long work on the calling thread; other tasks of its runtime move to another thread where they can.
pub(super) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
