//! Blocking code that waits for asynchronous work.

use std::io;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::mpsc;

use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};

use crate::error::{CatalogError, Result};

/// The threads that ask buckets. They are not those of the caller: whoever blocks one of these would wait for itself.
static THREADS: LazyLock<io::Result<Runtime>> = LazyLock::new(|| {
    Builder::new_multi_thread().worker_threads(2).thread_name("buckets").enable_all().build()
});

/// Runs work on the threads for it, and waits for what comes out.
pub(super) fn wait<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T> {
    let failed = |source| CatalogError::Io {
        action: "ask a bucket from",
        path: PathBuf::from("a thread of its own"),
        source,
    };
    let threads = THREADS.as_ref().map_err(|error| failed(io::Error::other(error.to_string())))?;
    let (sender, receiver) = mpsc::sync_channel(1);
    threads.spawn(async move {
        // Whoever asked waits below.
        let _ = sender.send(work.await);
    });
    let receive = || receiver.recv();
    let received = match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        // Other tasks of the caller's runtime move to another thread.
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(receive),
        _ => receive(),
    };
    received.map_err(|_| failed(io::Error::other("the work was given up")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_caller_is_answered() {
        let answer = || wait(async { 7 }).unwrap();
        assert_eq!(answer(), 7);
        let many = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        assert_eq!(many.block_on(async { tokio::spawn(async move { answer() }).await.unwrap() }), 7);
        assert_eq!(many.block_on(async { tokio::task::spawn_blocking(answer).await.unwrap() }), 7);
        let one = Builder::new_current_thread().build().unwrap();
        assert_eq!(one.block_on(async { answer() }), 7);
        assert!(wait::<()>(async { panic!("on purpose") }).is_err());
    }
}
