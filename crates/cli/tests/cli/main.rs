//! The binary as people run it. No test needs the network.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod errors;
mod formats;
mod help;
mod models;
mod names;
mod scripts;
mod stopping;
mod tuning;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A store of its own, and the command that uses it.
pub(crate) struct Nightjar {
    folder: tempfile::TempDir,
}

/// What a run gave.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) status: Option<i32>,
}

impl Nightjar {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nightjar"));
        command.args(args).env("NIGHTJAR_STORE", self.path("store")).env("HF_HUB_OFFLINE", "1");
        command.env_remove("RUST_BACKTRACE").current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs to the end.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        self.command(args).output().unwrap().into()
    }

    /// Runs with a script on stdin.
    pub(crate) fn run_with(&self, args: &[&str], stdin: &[u8]) -> Ran {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin).unwrap();
        child.wait_with_output().unwrap().into()
    }

    /// Runs statements that must succeed, quietly, and returns stdout.
    pub(crate) fn sql(&self, sql: &str) -> String {
        let ran = self.run(&["-q", "sql", "-c", sql]);
        assert_eq!((ran.stderr.as_str(), ran.status), ("", Some(0)), "{sql}");
        ran.stdout
    }

    /// Writes a tiny model and keeps it as `tiny`.
    pub(crate) fn with_tiny_model(self) -> Self {
        nightjar_models::testing::write_tiny_model(&self.path("tiny"), 7).unwrap();
        let ran = self.run(&["-q", "model", "pull", "./tiny"]);
        assert_eq!(ran.status, Some(0), "{ran:?}");
        self
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            status: output.status.code(),
        }
    }
}
