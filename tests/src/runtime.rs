//! The runtime that tests run on.

/// Unoptimised, DataFusion's planner needs more than the 2 MiB that threads have by default.
const STACK_BYTES: usize = 32 << 20;

/// Runs a future to its end on a runtime of two threads with deep stacks, and returns what it returns.
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
        runtime.block_on(future)
    };
    let thread = std::thread::Builder::new().name("test".to_owned()).stack_size(STACK_BYTES);
    match thread.spawn(run).expect("a thread").join() {
        Ok(output) => output,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
