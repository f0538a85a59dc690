//! The threads that read parts of a body beside each other.

use crate::formats::input::Workers;
use crate::query::cpu::CpuHandle;

/// Those of the CPU runtime: bodies share them with each other and with all else that is computed.
#[derive(Debug)]
pub(super) struct CpuWorkers(pub(super) CpuHandle);

impl Workers for CpuWorkers {
    fn count(&self) -> usize {
        self.0.tokio().metrics().num_workers()
    }

    fn start(&self, job: Box<dyn FnOnce() + Send>) {
        self.0.tokio().spawn(async move { job() });
    }
}
