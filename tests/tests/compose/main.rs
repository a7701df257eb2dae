//! `docker-compose.yml` and `Dockerfile`: the services' commands and health checks run as processes, and a statement on them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod services;

use std::collections::HashMap;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nightjar_tests::{Process, S3Server, TestStore};
use services::{Compose, Service, root_file};

/// How long a service may take to be healthy: the machine may be busy with a build.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the variables of `.env.example`.
fn example() -> HashMap<String, String> {
    let text = root_file(".env.example");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect()
}

fn wait_for(compose: &Compose, service: &Service, healthy: bool) {
    let began = Instant::now();
    loop {
        let (now, said) = compose.health(service);
        if now == healthy {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{}: healthy is {now}: {said}", service.name);
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Starts the services as `docker compose up` does: each when those that it depends on are healthy.
fn up(compose: &Compose) -> HashMap<String, Process> {
    let mut running = HashMap::new();
    for service in compose.services().filter(|service| !service.on_demand) {
        for other in service.after.iter().filter(|other| *other != "s3") {
            assert!(running.contains_key(other), "{} starts before {other}", service.name);
        }
        // A check that passes without the service would check nothing.
        let (healthy, said) = compose.health(service);
        assert!(!healthy && said.starts_with("error: "), "{} before it runs: {said}", service.name);
        running.insert(service.name.clone(), compose.start(service));
        wait_for(compose, service, true);
    }
    running
}

/// Returns what the command line of the file prints: `docker compose run --rm cli …`, with a script on stdin.
fn cli(compose: &Compose, words: &[&str], script: &str) -> String {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let mut command = compose.run(compose.service("cli"), &words);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let ran = child.wait_with_output().unwrap();
    assert!(ran.status.success(), "{script}");
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn services_become_healthy_and_run_statements() {
    let server = S3Server::start();
    let bucket = server.bucket("nightjar");
    let mut variables = example();
    // The keys of the server that stands for the store.
    for (name, value) in server.environment() {
        variables.insert(name.replace("AWS_ACCESS_KEY_ID", "NIGHTJAR_S3_ACCESS_KEY"), value.clone());
        variables.insert(name.replace("AWS_SECRET_ACCESS_KEY", "NIGHTJAR_S3_SECRET_KEY"), value);
    }
    let compose = Compose::read(&variables).unwrap().with_store(&server);
    let mut running = up(&compose);
    let names: Vec<&str> = compose.services().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["scheduler", "executor-1", "executor-2", "daemon", "cli"]);

    let executors = cli(&compose, &["--format", "csv"], "SHOW EXECUTORS");
    assert_eq!(executors.lines().count(), 3, "a header and two executors: {executors}");

    let reviews = compose.path(compose.service("cli"), "/data/reviews.csv").unwrap();
    let sql = format!("SELECT count(*) AS n, count(DISTINCT product) AS p FROM '{}'", reviews.display());
    let plan = cli(&compose, &["sql", "--format", "csv", "-c", &format!("EXPLAIN {sql}")], "");
    assert!(plan.contains("ClusterExec: scheduler="), "{plan}");
    let rows = cli(&compose, &["sql", "--format", "csv", "-c", &sql], "");
    let alone = cli(&compose, &["sql", "--cluster", "", "--format", "csv", "-c", &sql], "");
    assert_eq!(rows, alone);

    // A model goes to the bucket, executors fetch it from there, and what they make of it goes there too.
    let tiny = TestStore::new(61);
    let sql = format!(
        "CREATE MODEL tiny FROM '{}'; \
         COPY (SELECT product, embed(review, 'tiny') AS e FROM '{}') TO 's3://nightjar/embedded/' STORED AS PARQUET; \
         SELECT count(*) AS n, count(e) AS e FROM 's3://nightjar/embedded/'",
        tiny.tiny().display(),
        reviews.display()
    );
    let told = cli(&compose, &["sql", "--format", "csv", "-c", &sql], "");
    let count = rows.lines().nth(1).unwrap().split(',').next().unwrap();
    assert!(told.ends_with(&format!("n,e\n{count},{count}\n")), "{told}");
    assert!(bucket.join("store/artifacts").is_dir() && bucket.join("embedded").is_dir());

    // A job that the command line makes is run by the daemon, on the executors, and its rows go to the bucket.
    let job = format!(
        "CREATE JOB copies SCHEDULE EVERY INTERVAL '1 second' WITH (retries = 0) AS \
         COPY (SELECT product, count(*) AS n FROM '{}' GROUP BY product) TO 's3://nightjar/copied/' STORED AS PARQUET",
        reviews.display()
    );
    cli(&compose, &["sql", "-c", &job], "");
    let began = Instant::now();
    loop {
        let runs = "SELECT status, error FROM nightjar.job_runs WHERE finished_at IS NOT NULL ORDER BY run_id LIMIT 1";
        let runs = cli(&compose, &["sql", "--format", "csv", "-c", runs], "");
        match runs.lines().nth(1) {
            Some(run) => break assert_eq!(run, "succeeded,", "{runs}"),
            None => assert!(began.elapsed() < PATIENCE, "no run ends"),
        }
    }
    let plan = cli(&compose, &["sql", "-c", "SELECT plan FROM nightjar.job_run_statements LIMIT 1"], "");
    assert!(plan.contains("ClusterExec") && bucket.join("copied").is_dir(), "{plan}");
    drop(running.remove("daemon"));
    wait_for(&compose, compose.service("daemon"), false);

    // An executor that is gone is not healthy, and the other one is.
    drop(running.remove("executor-2"));
    wait_for(&compose, compose.service("executor-2"), false);
    wait_for(&compose, compose.service("executor-1"), true);
    drop(running.remove("scheduler"));
    wait_for(&compose, compose.service("scheduler"), false);
}

#[test]
fn keys_must_be_chosen() {
    let error = Compose::read(&HashMap::new()).unwrap_err();
    assert!(error.contains("copy .env.example to .env"), "{error}");
}

#[test]
fn the_image_runs_the_binary_as_nobody_special() {
    let text = root_file("Dockerfile");
    let last = |word: &str| text.lines().filter_map(|line| line.strip_prefix(word)).next_back();
    assert_eq!(last("ENTRYPOINT "), Some(r#"["nightjar"]"#));
    assert_eq!(last("USER "), Some("nightjar"));
    // What they are at home in, the volumes of the file are mounted over.
    assert_eq!(last("WORKDIR "), Some("/var/lib/nightjar"));
    let rust = text.lines().find_map(|line| line.strip_prefix("FROM rust:")).unwrap();
    let needed = root_file("Cargo.toml");
    let needed =
        needed.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    assert!(rust.starts_with(needed), "rust {rust} for rust-version {needed}");
}
