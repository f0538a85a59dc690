//! The runtime for planning, scanning and encoding, apart from the one that serves HTTP.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::task::AbortOnDropHandle;

/// Stack of each thread, in bytes (virtual memory). Planning recurses along the expression: on the
/// usual 2 MiB a chain of a few thousand operators overflows and aborts the process.
const STACK_BYTES: usize = 64 << 20;

/// How long its threads may take to end before they are left alone.
const SHUTDOWN: Duration = Duration::from_mins(1);

/// Owner of the CPU runtime; dropping it stops the runtime without waiting.
#[derive(Debug)]
pub struct CpuRuntime {
    runtime: Option<Runtime>,
    handle: CpuHandle,
    cores: usize,
}

/// Spawns work on the CPU runtime; cheap to clone.
#[derive(Debug, Clone)]
pub struct CpuHandle(Handle);

impl CpuRuntime {
    /// Starts the runtime with one worker per core.
    ///
    /// # Errors
    /// When threads cannot be started.
    pub fn start() -> io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(2, usize::from).max(2);
        let runtime = Builder::new_multi_thread()
            .worker_threads(cores)
            .thread_stack_size(STACK_BYTES)
            .thread_name("anomalake-cpu")
            .enable_all()
            .build()?;
        let handle = CpuHandle(runtime.handle().clone());
        Ok(Self { runtime: Some(runtime), handle, cores })
    }

    /// Its workers: one per core, two at least.
    #[must_use]
    pub fn cores(&self) -> usize {
        self.cores
    }

    /// Handle to spawn with.
    #[must_use]
    pub fn handle(&self) -> CpuHandle {
        self.handle.clone()
    }
}

impl Drop for CpuRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Its threads are joined, by one that nobody waits for, and not detached: glibc's detach may read a thread's
            // memory after that has ended, and stacks of this size are given back at once.
            std::thread::spawn(move || runtime.shutdown_timeout(SHUTDOWN));
        }
    }
}

impl CpuHandle {
    /// Runs a future on the CPU runtime; dropping the handle stops it at its next await.
    pub fn spawn<F>(&self, future: F) -> AbortOnDropHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        AbortOnDropHandle::new(self.0.spawn(future))
    }

    /// Runs a blocking function on a thread of the CPU runtime that may wait.
    pub fn spawn_blocking<F, T>(&self, function: F) -> tokio::task::JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.0.spawn_blocking(function)
    }

    /// The runtime itself, for code that spawns by its own means.
    #[must_use]
    pub fn tokio(&self) -> Handle {
        self.0.clone()
    }
}
