//! The runtime that tests run on.

use std::time::Duration;

/// Unoptimised, DataFusion's planner needs more than the 2 MiB that threads have by default.
const STACK_BYTES: usize = 32 << 20;

/// How long a test may take, several times what the longest does: one that waits for ever shall say which it is.
const LIMIT: Duration = Duration::from_secs(900);

/// Runs a future to its end on a runtime of two threads with deep stacks, and returns what it returns. One that isn't over
/// after a quarter of an hour fails.
pub fn block_on<F>(future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    let run = move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async { tokio::time::timeout(LIMIT, future).await.expect("it hangs") })
    };
    let thread = std::thread::Builder::new().name("test".to_owned()).stack_size(STACK_BYTES);
    match thread.spawn(run).expect("a thread").join() {
        Ok(output) => output,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
