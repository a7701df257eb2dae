//! The daemon's HTTP side, spoken to over TCP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod client;
mod fixture;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use client::{Answer, ask, get, get_with};
use fixture::{HOSTILE, Served, fill, settings};
use nightjar_catalog::{JobRecord, JobRun};
use nightjar_errors::Failure;
use nightjar_server::{ExecutorRow, HttpError, HttpServer, ServerState, TlsFiles};

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_says_whether_it_lives_and_whether_it_runs_the_jobs() {
    let served = Served::begin(settings(), |_| ()).await;
    let alive = get(served.address, "/healthz").await;
    assert_eq!((alive.status, alive.body.as_str()), (200, "alive\n"));
    assert_eq!(get(served.address, "/readyz").await.status, 200);
    served.ready.store(false, Ordering::Release);
    let waiting = get(served.address, "/readyz").await;
    assert!(waiting.status == 503 && waiting.body.starts_with("standing by"), "{waiting:?}");
    assert!(get(served.address, "/").await.body.contains("stands by"));
    assert_eq!(get(served.address, "/healthz").await.status, 200);
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_store_has_pages() {
    let served = Served::begin(settings(), |_| ()).await;
    let home = get(served.address, "/").await;
    assert!(home.status == 200 && home.body.contains("There are no jobs yet"), "{home:?}");
    assert!(!home.body.contains("Executors"));
    assert!(get(served.address, "/models").await.body.contains("There are no models yet"));
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_say_what_the_catalog_says() {
    let served = Served::begin(settings(), fill).await;
    let home = get(served.address, "/").await.body;
    for part in [
        "nightly",
        "CRON &#39;0 3 * * *&#39;",
        "suspended",
        "href=\"/runs/1\"",
        "disk full",
        "Executors",
        "worker-1",
    ] {
        assert!(home.contains(part), "no {part} in {home}");
    }
    let run = get(served.address, "/runs/2").await.body;
    for part in [
        "Attempt 1",
        "Attempt 2",
        "INSERT INTO totals",
        "1,234,567",
        "2,469,134",
        "<details><summary>Plan",
        "InferExec",
        "disk full",
        "read 3 files",
    ] {
        assert!(run.contains(part), "no {part} in {run}");
    }
    let job = get(served.address, "/jobs/nightly").await.body;
    for part in ["CREATE JOB nightly", "href=\"/runs/2\"", "overlap", "href=\"/jobs/after%20it\""] {
        assert!(job.contains(part), "no {part} in {job}");
    }
    let models = get(served.address, "/models").await.body;
    for part in ["sentiment@1", "accuracy 0.91", "href=\"/training/1\"", "out of rows"] {
        assert!(models.contains(part), "no {part} in {models}");
    }
    let training = get(served.address, "/training/1").await.body;
    for part in [
        "<svg role=\"img\"",
        "train_loss from 0.9",
        "validation_loss",
        "CREATE MODEL sentiment",
        "duplicate_rows",
    ] {
        assert!(training.contains(part), "no {part} in {training}");
    }
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_names_and_texts_say_is_never_markup() {
    let served = Served::begin(settings(), fill).await;
    let job = "/jobs/%22%3E%3Cscript%3Ealert%281%29%3C%2Fscript%3E%26%27%2F..";
    for path in [
        "/",
        job,
        "/runs/3",
        "/models",
        "/training/2",
        "/?q=%22%3E%3Cscript%3E",
        "/%3Cscript%3E",
        "/runs/%3Cscript%3E",
    ] {
        let answer = get(served.address, path).await;
        let body = &answer.body;
        assert!(body.starts_with("<!DOCTYPE html>"), "{path}: {answer:?}");
        assert!(
            !body.contains("<script") && !body.contains("<img") && !body.contains("onload=\""),
            "{path}: {body}"
        );
        assert!(body.contains("&lt;script") || body.contains("%3Cscript"), "{path} shows it: {body}");
        balanced(path, body);
    }
    let page = get(served.address, job).await;
    assert_eq!(page.status, 200, "a name with every character that paths mean something by is found");
    assert!(HOSTILE.starts_with('"') && page.body.contains("<h1>&quot;&gt;&lt;script&gt;"));
    assert!(get(served.address, "/").await.body.contains(&format!("href=\"{job}\"")));
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_a_page_too() {
    let served = Served::begin(settings(), fill).await;
    for path in [
        "/runs/99",
        "/runs/x",
        "/runs/99999999999999999999",
        "/jobs/nightli",
        "/training/99",
        "/training/-1",
        "/nothing",
        "/jobs/",
        "/runs",
    ] {
        let answer = get(served.address, path).await;
        assert!(answer.status == 404 && answer.body.contains("<h1>Not found</h1>"), "{path}: {answer:?}");
    }
    assert!(get(served.address, "/jobs/nightli").await.body.contains("nightly"), "the nearest name is told");
    // A dropped job's runs stay.
    served.store.catalog().change_jobs(|ledger| ledger.remove("nightly")).unwrap();
    let dropped = get(served.address, "/jobs/nightly").await;
    assert!(dropped.status == 200 && dropped.body.contains("was dropped"), "{dropped:?}");
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_carries_the_headers_that_keep_a_browser_safe() {
    let served = Served::begin(settings(), fill).await;
    let host = format!("Host: {}", served.address);
    let evil = "Host: evil.example".to_owned();
    let asked = [
        ("GET", "/", &host),
        ("GET", "/metrics", &host),
        ("GET", "/nothing", &host),
        ("POST", "/", &host),
        ("GET", "/", &evil),
    ];
    for (method, path, host) in asked {
        let answer = ask(served.address, method, path, &[host]).await;
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-")
                && policy.contains("; img-src data:;"),
            "{policy}"
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_read_only() {
    let served = Served::begin(settings(), fill).await;
    let host = format!("Host: {}", served.address);
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        for path in ["/", "/healthz", "/nothing"] {
            let answer = ask(served.address, method, path, &[&host]).await;
            assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method} {path}");
        }
    }
    for path in ["/", "/healthz", "/metrics", "/runs/2"] {
        let (head, whole) =
            (ask(served.address, "HEAD", path, &[&host]).await, get(served.address, path).await);
        assert_eq!((head.status, head.body.as_str()), (200, ""), "{path}");
        assert_eq!(head.header("content-type"), whole.header("content-type"), "{path}");
    }
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_demanded_for_all_but_the_question_whether_it_lives() {
    let served = Served::begin(fixture::with_token("s3cret-token"), fill).await;
    assert_eq!(get(served.address, "/healthz").await.status, 200);
    for path in [
        "/",
        "/readyz",
        "/metrics",
        "/jobs/nightly",
        "/runs/1",
        "/models",
        "/training/1",
        "/nothing",
        "//healthz",
        "/healthz/",
    ] {
        let refused = get(served.address, path).await;
        assert_eq!(refused.status, 401, "{path}");
        let challenges: Vec<_> = refused.headers("www-authenticate").collect();
        assert!(
            challenges[0].starts_with("Basic realm=") && challenges[1].starts_with("Bearer"),
            "{challenges:?}"
        );
        assert!(!refused.body.contains("nightly"), "{refused:?}");
    }
    // s3cret-token, s3cret-tokem, and the empty password.
    let wrong = [
        "Bearer",
        "Bearer ",
        "Bearer s3cret-toke",
        "Bearer s3cret-tokenn",
        "Bearer S3CRET-TOKEN",
        "s3cret-token",
        "Basic eDpzM2NyZXQtdG9rZW0=",
        "Basic eDo=",
        "Basic s3cret-token",
        "Digest s3cret-token",
    ];
    for header in wrong {
        let answer = get_with(served.address, "/", &[&format!("Authorization: {header}")]).await;
        assert_eq!(answer.status, 401, "{header}");
    }
    for header in [
        "Bearer s3cret-token",
        "bearer s3cret-token",
        "Basic eDpzM2NyZXQtdG9rZW4=",
        "Basic OnMzY3JldC10b2tlbg==",
    ] {
        // Whoever knows the token may call the daemon by any name.
        let headers = ["Host: jobs.example", &format!("Authorization: {header}")];
        assert_eq!(ask(served.address, "GET", "/", &headers).await.status, 200, "{header}");
    }
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_only_this_machine_is_served_by_its_own_names() {
    let served = Served::begin(settings(), fill).await;
    for host in ["localhost", "localhost:1234", "127.0.0.1:80", "[::1]:9"] {
        assert_eq!(ask(served.address, "GET", "/", &[&format!("Host: {host}")]).await.status, 200, "{host}");
    }
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", ""] {
        let answer = ask(served.address, "GET", "/", &[&format!("Host: {host}")]).await;
        assert!(answer.status == 403 && !answer.body.contains("nightly"), "{host}: {answer:?}");
    }
    assert_eq!(ask(served.address, "GET", "/", &[]).await.status, 403, "no host at all");
    let absolute = ask(served.address, "GET", "http://evil.example/", &["Host: localhost"]).await;
    assert_eq!(absolute.status, 403, "the request's own address counts");
    served.end().await;
}

#[tokio::test]
async fn an_address_that_others_reach_needs_a_token() {
    let (folder, state) = fixture::state();
    let bind = async |address: &str, token: Option<&str>| {
        let mut settings = settings();
        settings.bind = address.parse::<SocketAddr>().unwrap();
        settings.token = token.map(str::to_owned);
        HttpServer::bind(settings, state.clone()).await
    };
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080", "[::ffff:192.0.2.1]:80"] {
        let error = bind(address, None).await.err().unwrap();
        assert!(matches!(error, HttpError::TokenMissing { .. }), "{error:?}");
        assert_eq!((error.code(), error.retryable()), ("http_token_missing", false));
        assert!(error.to_string().contains(address) && error.hint().unwrap().contains("token"), "{error}");
    }
    assert!(bind("0.0.0.0:0", Some("a-long-token")).await.is_ok());
    for token in ["", " ", "two words", "ü"] {
        assert!(
            matches!(bind("127.0.0.1:0", Some(token)).await, Err(HttpError::TokenUnfit { .. })),
            "{token}"
        );
    }
    let first = bind("127.0.0.1:0", None).await.unwrap();
    let taken = bind(&first.address().to_string(), None).await.err().unwrap();
    assert!(matches!(taken, HttpError::Bind { .. }) && taken.retryable(), "{taken:?}");
    let settings = fixture::with_token("never-printed");
    assert!(!format!("{settings:?}").contains("never-printed"));
    drop(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_speaks_tls() {
    let mut settings = fixture::with_token("s3cret-token");
    settings.tls = Some(TlsFiles { cert: fixture::tls("cert.pem"), key: fixture::tls("key.pem") });
    let served = Served::begin(settings.clone(), fill).await;
    assert!(served.url.starts_with("https://127.0.0.1:"));
    // A client that says nothing, and one that speaks plain HTTP, keep nobody waiting.
    let _silent = tokio::net::TcpStream::connect(served.address).await.unwrap();
    assert!(client::try_ask(served.address, "GET", "/", &["Host: localhost"]).await.is_none());
    let answer = client::ask_tls(served.address, "/", &["Authorization: Bearer s3cret-token"]).await;
    assert!(answer.status == 200 && answer.body.contains("nightly"), "{answer:?}");
    assert_eq!(client::ask_tls(served.address, "/", &[]).await.status, 401);
    served.end().await;

    let (_folder, state) = fixture::state();
    let none = TlsFiles { cert: fixture::tls("none.pem"), key: fixture::tls("key.pem") };
    let swapped = TlsFiles { cert: fixture::tls("key.pem"), key: fixture::tls("cert.pem") };
    let other = TlsFiles { cert: fixture::tls("cert.pem"), key: fixture::tls("other-key.pem") };
    for (files, path) in [(none, "none.pem"), (swapped, "key.pem"), (other, "other-key.pem")] {
        settings.tls = Some(files);
        let error = HttpServer::bind(settings.clone(), state.clone()).await.err().unwrap();
        assert!(matches!(&error, HttpError::Tls { path: at, .. } if at.ends_with(path)), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_in_the_format_of_prometheus() {
    let served = Served::begin(settings(), fill).await;
    let answer = get(served.address, "/metrics").await;
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let samples = client::exposition(&answer.body);
    let of = |name: &str, label: Option<(&str, &str)>| {
        let found = samples.iter().find(|sample| {
            sample.name == name && sample.label.as_ref().map(|(a, b)| (a.as_str(), b.as_str())) == label
        });
        found.unwrap_or_else(|| panic!("no {name} {label:?} in {}", answer.body)).value
    };
    assert_eq!(of("nightjar_leader", None), 1.0);
    assert_eq!(of("nightjar_jobs", Some(("status", "active"))), 2.0);
    assert_eq!(of("nightjar_jobs", Some(("status", "paused"))), 0.0);
    assert_eq!(of("nightjar_jobs", Some(("status", "suspended"))), 1.0);
    assert_eq!(of("nightjar_job_runs_open", Some(("stage", "running"))), 1.0);
    assert_eq!(of("nightjar_job_runs_finished_total", Some(("outcome", "succeeded"))), 1.0);
    assert_eq!(of("nightjar_job_runs_finished_total", Some(("outcome", "failed"))), 1.0);
    let age = of("nightjar_job_seconds_since_success", Some(("job", "nightly")));
    assert!((3_600.0..3_700.0).contains(&age), "{age}");
    let until = of("nightjar_job_seconds_until_next_run", Some(("job", "nightly")));
    assert!((3_500.0..=3_600.0).contains(&until), "{until}");
    assert_eq!(of("nightjar_job_last_run_duration_seconds", Some(("job", HOSTILE))), 2.5);
    let bucket = |bound| of("nightjar_scheduler_pass_seconds_bucket", Some(("le", bound)));
    assert_eq!(["0.001", "0.0025", "0.05", "0.1", "+Inf"].map(bucket), [0.0, 1.0, 1.0, 2.0, 2.0]);
    assert_eq!(of("nightjar_scheduler_pass_seconds_count", None), 2.0);
    assert_eq!(of("nightjar_scheduler_pass_seconds_sum", None), 0.0625);
    assert_eq!(of("nightjar_models", None), 1.0);
    assert_eq!(of("nightjar_training_runs", Some(("status", "done"))), 1.0);
    assert_eq!(of("nightjar_training_runs", Some(("status", "failed"))), 1.0);
    let hostile = samples.iter().filter(|sample| sample.label.as_ref().is_some_and(|(_, of)| of == HOSTILE));
    assert!(hostile.count() > 0, "the name comes back whole");
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_jobs_are_pages_of_two_hundred() {
    let served = Served::begin(settings(), |store| {
        store
            .catalog()
            .change_jobs(|ledger| {
                for number in 0..10_000 {
                    let name = format!("job {number:05}");
                    let run = JobRun {
                        run_id: number + 1,
                        job: name.clone(),
                        status: "succeeded".into(),
                        started_at: Some(1),
                        finished_at: Some(2),
                        ..JobRun::default()
                    };
                    ledger.put(&JobRecord {
                        name,
                        status: "active".into(),
                        schedule: "EVERY 1 HOUR".into(),
                        body: "[]".into(),
                        ..JobRecord::default()
                    })?;
                    ledger.put_run(&run)?;
                }
                Ok::<_, nightjar_catalog::CatalogError>(())
            })
            .unwrap();
    })
    .await;
    let count = |answer: &Answer| answer.body.matches("href=\"/jobs/job%20").count();
    let began = Instant::now();
    let first = get(served.address, "/").await;
    let metrics = get(served.address, "/metrics").await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    // Two hundred rows, and 25 recent runs.
    assert_eq!((count(&first), client::exposition(&metrics.body).len() > 20_000), (225, true));
    assert!(first.body.contains("Page 1 of 50") && first.body.contains("href=\"/?page=2&amp;q=\""));
    let last = get(served.address, "/?page=50").await;
    assert!(last.body.contains("job 09999") && !last.body.contains("page=51"));
    assert!(get(served.address, "/?page=99999999").await.body.contains("Page 50 of 50"));
    assert!(get(served.address, "/?page=x&q=%FF%ZZ").await.status == 200);
    let found = get(served.address, "/?q=JOB+0123&page=1").await;
    assert!(found.body.contains(">job 01234</a>") && count(&found) == 10 + 25, "{}", count(&found));
    assert!(get(served.address, "/?q=suspended").await.body.contains("No job has this"));
    served.end().await;
}

/// Returns what a browser asks for when a link of the page at `/` is followed: it takes `.` and `..` out of the path, however they are
/// written.
fn followed(href: &str) -> String {
    let url = format!("http://localhost{}", href.replace("&amp;", "&"));
    url::Url::parse(&url).unwrap()[url::Position::BeforePath..].to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_name_of_a_job_has_a_page() {
    let names = [
        "...",
        ".hidden",
        "a/../b",
        "..%2F",
        "%",
        "%2e%2e",
        "a?b#c&d=e;f",
        "a b+c",
        "\\..\\",
        "'\"<b>",
        "\u{202e}gnp",
        "ｎａｍｅ 名前 🦉",
        "healthz",
        "metrics",
        &"ü".repeat(100),
        HOSTILE,
    ];
    let served = Served::begin(settings(), |store| {
        let jobs = store.catalog().change_jobs::<_, nightjar_catalog::CatalogError>(|ledger| {
            names.iter().try_for_each(|name| {
                let statement =
                    format!("statement of {}", names.iter().position(|other| other == name).unwrap());
                ledger.put(&JobRecord {
                    name: (*name).to_owned(),
                    status: "active".into(),
                    schedule: "EVERY 1 HOUR".into(),
                    statement: format!("{statement}."),
                    body: "[]".into(),
                    ..JobRecord::default()
                })
            })
        });
        jobs.unwrap();
    })
    .await;
    let home = get(served.address, "/").await.body;
    let links: Vec<_> = home
        .split("href=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .filter(|href| href.starts_with("/jobs/"))
        .collect();
    assert_eq!(links.len(), names.len(), "{home}");
    let mut seen = Vec::new();
    for link in links {
        let page = get(served.address, &followed(link)).await;
        assert_eq!(page.status, 200, "{link}");
        seen.extend((0..names.len()).filter(|index| page.body.contains(&format!("statement of {index}."))));
        balanced(link, &page.body);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..names.len()).collect::<Vec<_>>(), "each link leads to its own job");
    for path in ["/jobs/", "/jobs/.", "/jobs/..", "/jobs/%2e%2e", "/jobs/%00", "/jobs/a/b", "/jobs/%FF"] {
        let answer = get(served.address, path).await;
        assert!(
            [400, 404].contains(&answer.status) && !answer.body.contains("statement of"),
            "{path}: {answer:?}"
        );
    }
    served.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_does_not_answer_keeps_the_page_from_nobody() {
    let (_folder, mut state) = fixture::state();
    state.executors = Some(Arc::new(|| Box::pin(std::future::pending::<Vec<ExecutorRow>>())));
    let served = Served::serve(settings(), state).await;
    let began = Instant::now();
    let page = get(served.address, "/").await;
    assert!(page.status == 200 && page.body.contains("names no executors"), "{page:?}");
    assert!(began.elapsed() < Duration::from_secs(9));
    served.end().await;
}

/// Every element that is opened is closed, in order.
fn balanced(path: &str, body: &str) {
    const VOID: [&str; 5] = ["meta", "link", "br", "input", "path"];
    let mut open: Vec<&str> = Vec::new();
    for part in body.split('<').skip(1) {
        let (tag, _) = part.split_once('>').unwrap_or_else(|| panic!("{path}: <{part}"));
        let name = tag.split([' ', '/']).find(|word| !word.is_empty()).unwrap_or_default();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "{path}: {body}");
        } else if !VOID.contains(&name) && !tag.starts_with('!') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{path}: {open:?}");
}

/// The names that the daemon's side of this crate builds on.
#[test]
fn the_state_can_be_made_in_one_line() {
    let (_folder, state) = fixture::state();
    let state: ServerState = ServerState::new(state.store, state.ready);
    assert!(state.executors.is_none() && state.pass_times.is_none());
}

/// Draws the pages where Chromium is installed; with NIGHTJAR_PICTURES set to a folder, keeps them there for people to look at.
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_draws_the_pages() {
    const CHROMIUM: &str = "/usr/bin/chromium";
    if !std::path::Path::new(CHROMIUM).exists() {
        return;
    }
    let served = Served::begin(settings(), fill).await;
    let scratch = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("NIGHTJAR_PICTURES").map(std::path::PathBuf::from);
    let folder = kept.as_deref().unwrap_or(scratch.path());
    let pages = [
        ("jobs", ""),
        ("job", "jobs/nightly"),
        ("run", "runs/2"),
        ("models", "models"),
        ("training", "training/1"),
    ];
    // Without a folder to fill, one page tells whether the browser takes what it gets.
    for (name, path) in &pages[..if kept.is_some() { pages.len() } else { 1 }] {
        let mut drawn = Vec::new();
        for (width, scheme, setting) in
            [(390, "light", 1), (390, "dark", 0), (1200, "light", 1), (1200, "dark", 0)]
        {
            let picture = folder.join(format!("{name}-{width}-{scheme}.png"));
            let status = tokio::process::Command::new(CHROMIUM)
                .args([
                    "--headless",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-background-networking",
                    "--hide-scrollbars",
                ])
                .arg(format!("--user-data-dir={}", scratch.path().join("profile").display()))
                .arg(format!("--window-size={width},{}", if width == 390 { 2_400 } else { 1_400 }))
                .arg(format!("--blink-settings=preferredColorScheme={setting}"))
                .arg(format!("--screenshot={}", picture.display()))
                .arg(format!("{}{path}", served.url))
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .status();
            assert!(status.await.unwrap().success(), "{name} at {width}, {scheme}");
            drawn.push(std::fs::read(picture).unwrap());
        }
        assert!(drawn[0] != drawn[1] && drawn[2] != drawn[3], "both colour schemes are served");
    }
    served.end().await;
}
