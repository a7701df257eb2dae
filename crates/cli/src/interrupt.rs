//! Ctrl-C.

use std::sync::OnceLock;
use std::thread;

use tokio::runtime::Builder;
use tokio::sync::watch;

use crate::error::{CliError, Result};

/// How often Ctrl-C was pressed since the first [`Interrupt`].
static PRESSED: OnceLock<watch::Receiver<u64>> = OnceLock::new();

/// Hears each Ctrl-C that comes after it was made.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(watch::Receiver<u64>);

impl Interrupt {
    pub(crate) fn new() -> Self {
        let mut pressed = PRESSED.get_or_init(listen).clone();
        pressed.mark_unchanged();
        Self(pressed)
    }

    /// Returns what the future gives, unless Ctrl-C comes or has come first.
    pub(crate) async fn or<T>(&mut self, future: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            biased;
            // Where nobody listens, Ctrl-C ends the process as it always did.
            Ok(()) = self.0.changed() => Err(CliError::Interrupted),
            value = future => Ok(value),
        }
    }
}

/// Listens on a thread of its own. Signals reach a runtime through its workers, and those of the statements are
/// busy for seconds at a time when models run.
fn listen() -> watch::Receiver<u64> {
    let (sender, receiver) = watch::channel(0);
    let listener = move || {
        let Ok(runtime) = Builder::new_current_thread().enable_io().build() else {
            return;
        };
        runtime.block_on(async {
            while tokio::signal::ctrl_c().await.is_ok() {
                sender.send_modify(|times| *times += 1);
            }
        });
    };
    // Without the thread the sender is dropped, and `changed` never says that a signal came.
    let _ = thread::Builder::new().name("interrupt".to_owned()).spawn(listener);
    receiver
}
