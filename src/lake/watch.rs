//! Long work over files: how far it is, and whether somebody still waits for it.

/// Told by long work how far it is; tells it when to stop.
pub trait Watch: Send + Sync {
    /// So many more bytes are to be gone through.
    fn planned(&self, bytes: u64);

    /// So many bytes of what was planned are done.
    fn done(&self, bytes: u64);

    /// Whether nobody waits any more: the work ends as soon as it can.
    fn is_stopped(&self) -> bool;
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn planned(&self, _: u64) {}

    fn done(&self, _: u64) {}

    fn is_stopped(&self) -> bool {
        false
    }
}
