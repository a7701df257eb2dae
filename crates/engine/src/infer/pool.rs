//! Arithmetic off the threads that wait for files and networks.

use std::any::Any;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use datafusion::error::{DataFusionError, Result};
use tokio::sync::oneshot;

/// Whether anybody still waits for the work.
#[derive(Debug, Default)]
pub(super) struct Stop(AtomicBool);

impl Stop {
    /// Breaks once nobody waits any more.
    pub(super) fn check(&self) -> ControlFlow<()> {
        if self.0.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Tells the work to stop when the future that waits for it is dropped.
struct StopOnDrop(Arc<Stop>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `work` on the process's rayon pool and waits for its result without holding a thread.
///
/// Parallel iterators inside `work` share that pool, so the work of all partitions is spread over its threads.
pub(super) async fn on_pool<T: Send + 'static>(
    work: impl FnOnce(&Stop) -> Result<T> + Send + 'static,
) -> Result<T> {
    let (send, receive) = oneshot::channel();
    let stop = Arc::new(Stop::default());
    let _stop_on_drop = StopOnDrop(Arc::clone(&stop));
    rayon::spawn(move || {
        // A panic would end the process: the pool has nobody to tell.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&stop)));
        // Nobody receives it once the statement is cancelled.
        let _ = send.send(outcome.unwrap_or_else(|panic| Err(panicked(&*panic))));
    });
    receive.await.map_err(|_| DataFusionError::Internal("the arithmetic pool is gone".to_owned()))?
}

fn panicked(panic: &(dyn Any + Send)) -> DataFusionError {
    let said = panic.downcast_ref::<&str>().map(|said| (*said).to_owned());
    let said = said.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    DataFusionError::Internal(format!("running a model panicked: {said}"))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[tokio::test]
    async fn results_errors_and_panics_come_back() {
        assert_eq!(on_pool(|_| Ok(7)).await.unwrap(), 7);
        let error = on_pool::<()>(|_| Err(DataFusionError::Execution("no".to_owned()))).await;
        assert!(error.unwrap_err().to_string().contains("no"));
        let error = on_pool::<()>(|_| panic!("at {}", "noon")).await;
        assert!(error.unwrap_err().to_string().contains("at noon"));
    }

    #[tokio::test]
    async fn dropped_work_stops() {
        let (send, receive) = std::sync::mpsc::channel();
        let work = on_pool(move |stop| {
            let deadline = Instant::now() + Duration::from_secs(30);
            while stop.check().is_continue() && Instant::now() < deadline {
                std::thread::yield_now();
            }
            send.send(stop.check().is_break()).unwrap();
            Ok(())
        });
        drop(tokio::time::timeout(Duration::from_millis(20), work).await);
        assert!(receive.recv().unwrap());
    }
}
