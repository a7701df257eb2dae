//! A cluster of real processes: the very binary, as a scheduler and as executors.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nightjar_catalog::Store;
use nightjar_cluster::{Address, connect, executors};
use nightjar_engine::Session;
use tempfile::TempDir;

use crate::TestStore;

/// How long a process may take to be there: the machine may be busy with a build.
const PATIENCE: Duration = Duration::from_secs(60);

/// A scheduler and its executors on a store. They are killed when the value goes.
#[derive(Debug)]
pub struct Cluster {
    store: PathBuf,
    variables: Vec<(String, String)>,
    address: Address,
    scheduler: Process,
    executors: Vec<Process>,
    /// What the processes keep of stores in buckets: a folder each, as machines have.
    caches: Vec<TempDir>,
}

/// A process that is killed when the value goes.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts a command.
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().expect("a process"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended can't be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns the binary beside the one of the test that runs. `cargo test --workspace` builds it; a test of this package alone
/// needs `cargo build` before.
pub fn binary() -> PathBuf {
    built("nightjar")
}

/// Returns a binary that cargo has built.
pub(crate) fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's path");
    let built = test.ancestors().nth(2).expect("the folder of what cargo builds").join(name);
    assert!(built.is_file(), "{} is not there: run cargo build first", built.display());
    built
}

fn start_scheduler(store: &Path, variables: &[(String, String)], bind: &Address) -> (Process, Address) {
    let mut command = Command::new(binary());
    command.args(["scheduler", "--bind", &bind.to_string()]).env("NIGHTJAR_STORE", store);
    command.envs(variables.iter().cloned());
    let mut process = Process(command.stdout(Stdio::piped()).spawn().expect("a scheduler"));
    let mut line = String::new();
    let stdout = process.0.stdout.take().expect("its stdout");
    BufReader::new(stdout).read_line(&mut line).expect("the line with its address");
    let address = line.trim().parse().unwrap_or_else(|_| panic!("the scheduler said '{line}'"));
    (process, address)
}

impl Cluster {
    /// Starts a scheduler and so many executors of one vcore each on a store, and waits until they know each other.
    pub async fn start(store: &TestStore, executors: usize) -> Self {
        Self::start_with(&store.root(), Vec::new(), executors).await
    }

    /// As [`Cluster::start`], on the store of this name, with variables in the processes' environment.
    pub async fn start_with(store: &Path, mut variables: Vec<(String, String)>, executors: usize) -> Self {
        let cache = tempfile::tempdir().expect("a temporary folder");
        variables.push(("NIGHTJAR_CACHE".to_owned(), cache.path().display().to_string()));
        let (scheduler, address) = start_scheduler(store, &variables, &Address::loopback(0));
        let store = store.to_owned();
        let mut cluster =
            Self { store, variables, address, scheduler, executors: Vec::new(), caches: vec![cache] };
        (0..executors).for_each(|_| cluster.add_executor());
        cluster.wait_for(executors).await;
        cluster
    }

    /// Returns where the scheduler listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Starts one more executor of one vcore.
    pub fn add_executor(&mut self) {
        self.spawn_executor(Command::new(binary()));
    }

    /// Starts one more executor, whose files can't grow beyond 32 kB: to it the disk is full.
    pub fn add_executor_without_room(&mut self) {
        let mut command = Command::new("sh");
        // The shell ignores the signal that a file's end at the limit would send, and so does what it becomes.
        command.args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$0\" \"$@\""]).arg(binary());
        self.spawn_executor(command);
    }

    fn spawn_executor(&mut self, mut command: Command) {
        command.args(["executor", "--vcores", "1", "--scheduler", &self.address.to_string()]);
        command.env("NIGHTJAR_STORE", &self.store).envs(self.variables.iter().cloned());
        let cache = tempfile::tempdir().expect("a temporary folder");
        command.env("NIGHTJAR_CACHE", cache.path());
        self.caches.push(cache);
        self.executors.push(Process(command.spawn().expect("an executor")));
    }

    /// Waits until the scheduler knows so many executors.
    pub async fn wait_for(&self, count: usize) {
        let began = Instant::now();
        while executors(&self.address).await.expect("the scheduler's answer").len() != count {
            assert!(began.elapsed() < PATIENCE, "there are no {count} executors");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Kills an executor, as the machine's end would.
    pub fn kill_executor(&mut self, index: usize) {
        drop(self.executors.remove(index));
    }

    /// Sends a signal to an executor, by its name, such as `STOP`.
    pub fn signal_executor(&self, index: usize, signal: &str) {
        let id = self.executors[index].0.id().to_string();
        let sent = Command::new("kill").args([&format!("-{signal}"), &id]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// Returns how long an executor has computed, in the ticks of /proc: a hundred a second.
    pub fn executor_ticks(&self, index: usize) -> u64 {
        let path = format!("/proc/{}/stat", self.executors[index].0.id());
        let stat = std::fs::read_to_string(path).expect("a process that lives");
        // Behind the command's name, which may hold blanks: time of its own and of the system for it.
        let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
        let ticks = fields.split_whitespace().skip(11).take(2);
        ticks.map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
    }

    /// Kills the scheduler and starts another one at its address.
    pub fn restart_scheduler(&mut self) {
        // Dropped first: two can't have one port.
        let _ = self.scheduler.0.kill();
        let _ = self.scheduler.0.wait();
        self.scheduler = start_scheduler(&self.store, &self.variables, &self.address).0;
    }

    /// Returns a session on the store whose plans run on the cluster, in f32, as those of [`TestStore::session`].
    pub async fn session(&self, store: &TestStore) -> Session {
        self.session_on(store.open().expect("the store opens")).await
    }

    /// As [`Cluster::session`], on any store.
    pub async fn session_on(&self, store: Store) -> Session {
        let session = connect(&self.address, store).await.expect("the cluster");
        session.sql("SET nightjar.precision = 'f32'").await.expect("the precision");
        session
    }
}
