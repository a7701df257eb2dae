//! A real S3 server: a process of its own over a folder.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nightjar_catalog::{ObjectStoreSettings, ObjectStores};
use tempfile::TempDir;

use crate::cluster::built;

/// The key that the server knows.
const KEY: &str = "test-key-0451";
/// The secret that belongs to it.
const SECRET: &str = "test-secret-8128";

/// An S3 server with buckets in a temporary folder. It is killed when the value goes.
#[derive(Debug)]
pub struct S3Server {
    folder: TempDir,
    address: String,
    has_keys: bool,
    process: Option<Child>,
}

impl S3Server {
    /// Starts a server that takes requests signed with its key.
    pub fn start() -> Self {
        Self::begin(true)
    }

    /// Starts a server that everyone may read, by plain HTTP too.
    pub fn start_public() -> Self {
        Self::begin(false)
    }

    fn begin(has_keys: bool) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut server = Self { folder, address: "127.0.0.1:0".to_owned(), has_keys, process: None };
        server.start_again();
        server
    }

    /// Starts the server again after [`S3Server::stop`], at its address.
    pub fn start_again(&mut self) {
        assert!(self.process.is_none(), "the server runs");
        let mut command = Command::new(built("s3_server"));
        command.arg(self.folder.path()).arg(&self.address).stdin(Stdio::piped()).stdout(Stdio::piped());
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            command.env_remove(name);
        }
        if self.has_keys {
            command.env("AWS_ACCESS_KEY_ID", KEY).env("AWS_SECRET_ACCESS_KEY", SECRET);
        }
        let mut process = command.spawn().expect("an S3 server");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("its stdout");
        BufReader::new(stdout).read_line(&mut line).expect("the line with its address");
        assert!(line.contains(':'), "the S3 server said '{line}'");
        line.trim().clone_into(&mut self.address);
        self.process = Some(process);
    }

    /// Kills the server; what is in its buckets stays.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // One that has ended can't be killed.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Returns the folder of a bucket, and makes it if it is not there: its files are the bucket's objects.
    pub fn bucket(&self, name: &str) -> PathBuf {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder).expect("the bucket's folder");
        folder
    }

    /// Copies the files of a folder, with those of the folders in it, into a bucket.
    pub fn fill(&self, bucket: &str, from: &Path) {
        copy(from, &self.bucket(bucket));
    }

    /// Returns where it listens, as a URL.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the variables by which a process finds the server.
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut variables = vec![("AWS_ENDPOINT_URL".to_owned(), self.endpoint())];
        if self.has_keys {
            variables.push(("AWS_ACCESS_KEY_ID".to_owned(), KEY.to_owned()));
            variables.push(("AWS_SECRET_ACCESS_KEY".to_owned(), SECRET.to_owned()));
        } else {
            variables.push(("AWS_SKIP_SIGNATURE".to_owned(), "true".to_owned()));
        }
        variables
    }

    /// Returns what a process with these variables would ask the server with.
    pub fn settings(&self) -> ObjectStoreSettings {
        let variables = self.environment();
        ObjectStoreSettings::new(variables.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// Returns object stores that find the server.
    pub fn object_stores(&self) -> ObjectStores {
        ObjectStores::new(self.settings())
    }

    /// Fails the test if a text holds the key or the secret.
    pub fn assert_no_secret(text: &str) {
        assert!(!text.contains(KEY) && !text.contains(SECRET), "{text}");
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the folder");
    for entry in fs::read_dir(from).expect("a readable folder") {
        let entry = entry.expect("a readable folder");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("its kind").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}
