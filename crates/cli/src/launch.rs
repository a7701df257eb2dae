//! The threads that everything runs on.

use std::any::Any;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::error::{CliError, Result};

/// The stack of each worker. Planning recurses as deep as the plan, and plans of generated SQL are deep.
const WORKER_STACK_BYTES: usize = 32 << 20;

/// The stack of the thread that parses.
const MAIN_STACK_BYTES: usize = 64 << 20;

/// How long threads may take to end by themselves.
const SHUTDOWN: Duration = Duration::from_millis(200);

/// How long a statement that was stopped may take to tidy up and say how it can go on.
pub(crate) const LAST_WORDS: Duration = Duration::from_millis(900);

/// Runs the command to its end, on a thread with a stack of our choosing and a runtime with such workers.
pub(crate) fn on_runtime(command: impl Future<Output = Result<()>> + Send) -> Result<()> {
    quiet_panics();
    thread::scope(|scope| {
        let main = thread::Builder::new().name("main".to_owned()).stack_size(MAIN_STACK_BYTES);
        let running = main.spawn_scoped(scope, || {
            let runtime = runtime().map_err(CliError::Launch)?;
            let result = panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(command)));
            // A pull that was stopped sits in a blocking call: it is not waited for.
            runtime.shutdown_timeout(SHUTDOWN);
            result.unwrap_or_else(|payload| Err(CliError::Internal(panic_message(payload.as_ref()))))
        });
        let joined = running.map_err(CliError::Launch)?.join();
        joined.unwrap_or_else(|payload| Err(CliError::Internal(panic_message(payload.as_ref()))))
    })
}

/// Returns what a panic said.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a thread stopped").to_owned()
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().thread_stack_size(WORKER_STACK_BYTES).build()
}

/// A panic is shown as an error, by whoever waits for the thread; its place only to those who ask.
fn quiet_panics() {
    if std::env::var_os("RUST_BACKTRACE").is_none() {
        panic::set_hook(Box::new(|_| {}));
    }
}
