//! `docker-compose.yml` without containers: its services as processes of this machine, by the very commands, health checks and
//! environments of the file.
//!
//! What a container gives them is mapped: names of services to 127.0.0.1, their ports to free ones, volumes to folders.

use std::collections::HashMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use nightjar_tests::{Process, S3Server, binary};
use tempfile::TempDir;
use yaml_rust2::yaml::Hash;
use yaml_rust2::{Yaml, YamlLoader};

/// The service whose image is not ours: another S3 server stands for it.
const STORE: &str = "s3";

/// Where the image's user lives.
const HOME: &str = "/var/lib/nightjar";

/// The file's services, merged and with variables filled in as `docker compose` does it, and what stands for their containers.
#[derive(Debug)]
pub(crate) struct Compose {
    services: Vec<Service>,
    /// Where the S3 server that stands for the store listens, as a URL.
    store: Option<String>,
    /// A free port for each port that a service uses.
    ports: HashMap<(String, u16), u16>,
    folder: TempDir,
}

/// A service of the file.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    /// Its name, which is its host's as well.
    pub(crate) name: String,
    /// The arguments of the image's program.
    pub(crate) command: Vec<String>,
    /// The health check's words, the program first.
    pub(crate) health: Vec<String>,
    /// The services that must be healthy before it starts.
    pub(crate) after: Vec<String>,
    /// Whether it is started only by name.
    pub(crate) on_demand: bool,
    environment: Vec<(String, String)>,
    /// Where it sees what: the path inside, and the volume's name or the path outside.
    volumes: Vec<(String, String)>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns a file of the repository's root.
pub(crate) fn root_file(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

impl Compose {
    /// Reads the file with these variables; fails as `docker compose` would, over a variable that is required and not there.
    pub(crate) fn read(variables: &HashMap<String, String>) -> Result<Self, String> {
        let mut files = YamlLoader::load_from_str(&root_file("docker-compose.yml")).expect("YAML");
        let file = filled(merged(files.remove(0)), variables)?;
        let services = file["services"].as_hash().expect("services");
        let services: Vec<Service> = services.iter().map(|(name, service)| read(name, service)).collect();
        let folder = tempfile::tempdir().expect("a temporary folder");
        Ok(Self { ports: free_ports(&services), store: None, services, folder })
    }

    /// Has this server stand for the store.
    pub(crate) fn with_store(self, server: &S3Server) -> Self {
        Self { store: Some(server.endpoint()), ..self }
    }

    /// Returns the services whose image is ours, in the order of the file.
    pub(crate) fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.iter().filter(|service| service.name != STORE)
    }

    /// Returns a service.
    pub(crate) fn service(&self, name: &str) -> &Service {
        self.services().find(|service| service.name == name).unwrap_or_else(|| panic!("no service {name}"))
    }

    /// Starts a service's process; it is killed when the value goes.
    pub(crate) fn start(&self, service: &Service) -> Process {
        Process::start(&mut self.run(service, &service.command))
    }

    /// Returns whether a service's health check passes now, and what it says.
    pub(crate) fn health(&self, service: &Service) -> (bool, String) {
        let (program, words) = service.health.split_first().expect("a health check");
        assert_eq!(program, "nightjar", "the image's program");
        let ran = self.run(service, words).output().expect("the health check runs");
        let said = [ran.stdout, ran.stderr].concat();
        (ran.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Returns the image's program with arguments and the service's environment, all as this machine has them.
    pub(crate) fn run(&self, service: &Service, words: &[String]) -> Command {
        let mut command = Command::new(binary());
        let before = std::iter::once("").chain(words.iter().map(String::as_str));
        command.args(words.iter().zip(before).map(|(word, option)| match option {
            // A host alone.
            "--advertise" => self.host(word),
            _ => self.mapped(service, word),
        }));
        command.env_clear();
        command.env("HOME", self.path(service, HOME).expect("a volume for the user's home"));
        for (name, value) in &service.environment {
            command.env(name, self.mapped(service, value));
        }
        command
    }

    /// Returns what a word of the file is on this machine.
    fn mapped(&self, service: &Service, word: &str) -> String {
        if let Some(store) = self.store.as_ref().filter(|_| word.starts_with(&format!("http://{STORE}:"))) {
            return store.clone();
        }
        if let Some(path) = self.path(service, word) {
            return path.display().to_string();
        }
        let (scheme, address) = word.split_once("://").map_or(("", word), |(_, rest)| ("http://", rest));
        let port = address.split_once(':').and_then(|(host, port)| {
            let host = if is_own(host) { &service.name } else { host };
            self.ports.get(&(host.to_owned(), port.parse().ok()?))
        });
        port.map_or_else(|| word.to_owned(), |port| format!("{scheme}127.0.0.1:{port}"))
    }

    fn host(&self, name: &str) -> String {
        assert!(self.services.iter().any(|service| service.name == name), "there is no service {name}");
        "127.0.0.1".to_owned()
    }

    /// Returns where a path inside a service's container lies on this machine.
    pub(crate) fn path(&self, service: &Service, inside: &str) -> Option<PathBuf> {
        let (rest, outside) = service
            .volumes
            .iter()
            .find_map(|(target, source)| Some((inside.strip_prefix(target.as_str())?, source)))?;
        let outside = match outside.starts_with(['.', '/']) {
            true => root().join(outside),
            false => self.folder.path().join(outside),
        };
        Some(outside.join(rest.trim_start_matches('/')))
    }
}

/// Returns whether a host is the container itself, or all that it has.
fn is_own(host: &str) -> bool {
    matches!(host, "0.0.0.0" | "127.0.0.1" | "localhost")
}

/// Returns a free port for each that a service listens at; the one after it is free as well, as executors need it.
fn free_ports(services: &[Service]) -> HashMap<(String, u16), u16> {
    let mut held = Vec::new();
    let mut ports = HashMap::new();
    for service in services {
        for word in &service.command {
            let Some(("0.0.0.0", port)) = word.split_once(':') else { continue };
            let port: u16 = port.parse().expect("a port");
            let (free, pair) =
                std::iter::repeat_with(two_free_ports).flatten().next().expect("two free ports");
            ports.insert((service.name.clone(), port), free);
            // Held until all are chosen, so that none is chosen twice.
            held.push(pair);
        }
    }
    ports
}

fn two_free_ports() -> Option<(u16, [TcpListener; 2])> {
    let first = TcpListener::bind("127.0.0.1:0").ok()?;
    let port = first.local_addr().ok()?.port();
    let second = TcpListener::bind(("127.0.0.1", port.checked_add(1)?)).ok()?;
    Some((port, [first, second]))
}

fn read(name: &Yaml, service: &Yaml) -> Service {
    let health = texts(&service["healthcheck"]["test"]);
    let environment = service["environment"].as_hash().into_iter().flatten();
    let volumes = texts(&service["volumes"]).into_iter().map(|volume| {
        let mut parts = volume.split(':');
        let source = parts.next().expect("a volume").to_owned();
        (parts.next().expect("a path inside").to_owned(), source)
    });
    let after = service["depends_on"].as_hash().into_iter().flatten().map(|(name, how)| {
        assert_eq!(text(&how["condition"]), "service_healthy");
        text(name)
    });
    Service {
        name: text(name),
        command: texts(&service["command"]),
        // Behind the word that says whether a shell reads the rest.
        health: health.into_iter().skip(1).collect(),
        after: after.collect(),
        on_demand: !service["profiles"].is_badvalue(),
        environment: environment.map(|(name, value)| (text(name), text(value))).collect(),
        volumes: volumes.collect(),
    }
}

fn text(value: &Yaml) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value:?} is no text")).to_owned()
}

fn texts(value: &Yaml) -> Vec<String> {
    value.as_vec().into_iter().flatten().map(text).collect()
}

/// Puts what `<<` names into the mappings that have it; their own keys win.
fn merged(value: Yaml) -> Yaml {
    match value {
        Yaml::Hash(mut own) => {
            let base = own.remove(&Yaml::String("<<".to_owned())).map(merged);
            let mut all = base.map_or_else(Hash::new, |base| base.into_hash().expect("a mapping to merge"));
            for (key, value) in own {
                all.insert(key, merged(value));
            }
            Yaml::Hash(all)
        }
        Yaml::Array(values) => Yaml::Array(values.into_iter().map(merged).collect()),
        other => other,
    }
}

/// Fills the variables in.
fn filled(value: Yaml, variables: &HashMap<String, String>) -> Result<Yaml, String> {
    Ok(match value {
        Yaml::String(text) => Yaml::String(interpolate(&text, variables)?),
        Yaml::Array(values) => {
            let values: Result<Vec<_>, _> =
                values.into_iter().map(|value| filled(value, variables)).collect();
            Yaml::Array(values?)
        }
        Yaml::Hash(entries) => {
            let mut all = Hash::new();
            for (key, value) in entries {
                all.insert(key, filled(value, variables)?);
            }
            Yaml::Hash(all)
        }
        other => other,
    })
}

/// Replaces `${NAME:-default}` and `${NAME:?error}`, the two forms that the file has.
fn interpolate(text: &str, variables: &HashMap<String, String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (inside, behind) = after.split_once('}').expect("a closing brace");
        let (name, otherwise) = inside.split_once(':').expect("a default or an error");
        out.push_str(before);
        match (variables.get(name).filter(|value| !value.is_empty()), otherwise.split_at(1)) {
            (Some(value), _) => out.push_str(value),
            (None, ("-", default)) => out.push_str(default),
            (None, (_, error)) => return Err(format!("{name}: {error}")),
        }
        rest = behind;
    }
    assert!(!rest.contains('$'), "{text}");
    Ok(out + rest)
}
