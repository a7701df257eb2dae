//! A hub on this machine: the part of the protocol that pulls use, with faults on request.
#![allow(unreachable_pub)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nightjar_catalog::Digest;

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

#[derive(Clone, Debug)]
pub enum Fault {
    /// This status, with the authorization header echoed in the body.
    Status(u16),
    /// Only so many bytes of the body, then the connection is closed.
    Cut(usize),
    /// So many bytes, then nothing for a long while.
    Stall(usize),
    /// Other bytes of the same length.
    Changed,
    /// A header of this name and value instead of the right one.
    Header(&'static str, String),
    /// A redirect that doesn't say where to.
    Astray,
}

#[derive(Default)]
pub struct Repository {
    pub files: HashMap<String, Vec<u8>>,
    /// By path; `""` is the repository's description.
    pub faults: HashMap<String, Fault>,
    /// Names that the description lists and that do not exist.
    pub listed: Vec<String>,
}

pub struct Hub {
    pub url: String,
    pub repository: Arc<Mutex<Repository>>,
    /// Request lines with their authorization headers.
    pub requests: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    pub fn serve(files: &[(&'static str, Vec<u8>)]) -> Hub {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let files = files.iter().map(|(path, bytes)| (path.to_string(), bytes.clone())).collect();
        let repository = Arc::new(Mutex::new(Repository { files, ..Repository::default() }));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let hub = Hub { url: url.clone(), repository: repository.clone(), requests: requests.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (url, repository, requests) = (url.clone(), repository.clone(), requests.clone());
                std::thread::spawn(move || answer(stream, &url, &repository, &requests));
            }
        });
        hub
    }

    pub fn fault(&self, path: &str, fault: Fault) {
        self.repository.lock().unwrap().faults.insert(path.into(), fault);
    }

    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn answer(
    mut stream: TcpStream,
    url: &str,
    repository: &Mutex<Repository>,
    requests: &Mutex<Vec<String>>,
) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines();
    let request = lines.next()?.ok()?;
    let headers: HashMap<String, String> = lines
        .map_while(|line| line.ok().filter(|line| !line.is_empty()))
        .filter_map(|line| {
            line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_string()))
        })
        .collect();
    let authorization = headers.get("authorization").cloned().unwrap_or_default();
    requests.lock().unwrap().push(format!("{request} {authorization}"));
    let path = request.split(' ').nth(1)?.to_string();
    let repository = repository.lock().unwrap();
    if path.starts_with("/api/models/org/tiny/revision/") {
        let mut names: Vec<&String> = repository.files.keys().chain(&repository.listed).collect();
        names.sort();
        let siblings: Vec<_> = names.iter().map(|name| serde_json::json!({ "rfilename": name })).collect();
        let sha = match repository.faults.get("") {
            Some(Fault::Header("sha", value)) => value,
            _ => COMMIT,
        };
        if let Some(Fault::Status(status)) = repository.faults.get("") {
            return respond(&mut stream, *status, &[], authorization.as_bytes());
        }
        let body = serde_json::json!({ "sha": sha, "siblings": siblings }).to_string();
        return respond(&mut stream, 200, &[("Content-Type", "application/json".into())], body.as_bytes());
    }
    let is_large = path.starts_with("/cdn/");
    let name =
        path.strip_prefix("/cdn/").or_else(|| path.strip_prefix(&format!("/org/tiny/resolve/{COMMIT}/")));
    let Some((name, bytes)) = name.and_then(|name| Some((name, repository.files.get(name)?))) else {
        return respond(&mut stream, 404, &[], b"Entry not found");
    };
    let fault = repository.faults.get(name).cloned();
    let digest = Digest::of(bytes).to_string();
    let mut answer = vec![("X-Repo-Commit", COMMIT.to_string())];
    let etag = if name.ends_with(".safetensors") { digest } else { digest[..40].to_string() };
    answer.push(("ETag", format!("\"{etag}\"")));
    match &fault {
        Some(Fault::Status(status)) => return respond(&mut stream, *status, &[], authorization.as_bytes()),
        Some(Fault::Astray) => return respond(&mut stream, 302, &answer, b""),
        Some(Fault::Header(name, value)) => {
            answer.retain(|(header, _)| header != name);
            answer.push((name, value.clone()));
        }
        _ => (),
    }
    // As the hub does: large files lie somewhere else.
    if name.ends_with(".safetensors") && !is_large {
        answer.push(("X-Linked-Etag", format!("\"{etag}\"")));
        answer.push(("Location", format!("{url}/cdn/{name}")));
        return respond(&mut stream, 302, &answer, b"");
    }
    let mut bytes = bytes.clone();
    if matches!(fault, Some(Fault::Changed)) {
        bytes[0] ^= 1;
    }
    let range = headers.get("range")?.strip_prefix("bytes=")?.split_once('-')?;
    let start: usize = range.0.parse().ok()?;
    let end = range.1.parse().map_or(bytes.len(), |last: usize| last + 1);
    answer.push(("Content-Range", format!("bytes {start}-{}/{}", end - 1, bytes.len())));
    let body = bytes[start..end].to_vec();
    drop(repository);
    match fault {
        Some(Fault::Cut(length) | Fault::Stall(length)) if body.len() > length => {
            head(&mut stream, 206, &answer, body.len())?;
            stream.write_all(&body[..length]).ok()?;
            stream.flush().ok()?;
            if matches!(fault, Some(Fault::Stall(_))) {
                std::thread::sleep(Duration::from_secs(5));
            }
            Some(())
        }
        _ => respond(&mut stream, 206, &answer, &body),
    }
}

fn head(stream: &mut TcpStream, status: u16, headers: &[(&str, String)], length: usize) -> Option<()> {
    write!(stream, "HTTP/1.1 {status} Status\r\nContent-Length: {length}\r\nConnection: close\r\n").ok()?;
    for (name, value) in headers {
        write!(stream, "{name}: {value}\r\n").ok()?;
    }
    write!(stream, "\r\n").ok()
}

fn respond(stream: &mut TcpStream, status: u16, headers: &[(&str, String)], body: &[u8]) -> Option<()> {
    head(stream, status, headers, body.len())?;
    stream.write_all(body).ok()?;
    stream.flush().ok()
}
