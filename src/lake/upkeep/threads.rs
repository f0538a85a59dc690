//! The threads that merge.
//!
//! Merging takes tens of megabytes in many pieces. The allocator keeps what a thread has given back for the threads that
//! share its arena, and a pool's threads come and go over all arenas: merged there, a server under steady small
//! ingests held several hundred MiB that nobody used, more with every minute (measured: 685 MiB after 400
//! ingests, 200 with these threads). So each kind of rewrite has one thread for ever.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::oneshot;

use crate::lake::data_files::DayLayout;
use crate::lake::error::LakeError;

type Job = Box<dyn FnOnce() + Send>;

/// One thread for each kind of rewrite, started at its first job and ended with this. A sort of a large day
/// thus holds up no merge of small files.
#[derive(Debug, Default)]
pub struct MergeThreads {
    merged: Mutex<Option<Sender<Job>>>,
    sorted: Mutex<Option<Sender<Job>>>,
}

impl MergeThreads {
    /// Begins blocking work on the thread for this kind of rewrite, after what was asked of it before; what it
    /// returns waits for the end.
    ///
    /// # Errors
    /// When the thread cannot be started; at the end what the work says, or [`LakeError::Io`] when it panicked.
    pub fn begin<T: Send + 'static>(
        &self,
        layout: DayLayout,
        work: impl FnOnce() -> Result<T, LakeError> + Send + 'static,
    ) -> Result<BoxFuture<'static, Result<T, LakeError>>, LakeError> {
        let (reply, answer) = oneshot::channel();
        self.send(
            layout,
            Box::new(move || {
                let done = catch_unwind(AssertUnwindSafe(work));
                let done = done.unwrap_or_else(|_| Err(io::Error::other("merging ended abnormally").into()));
                // Whoever asked may be gone.
                let _ = reply.send(done);
            }),
        )?;
        let ended = || Err(io::Error::other("the merging thread has ended").into());
        Ok(async move { answer.await.unwrap_or_else(|_| ended()) }.boxed())
    }

    fn send(&self, layout: DayLayout, job: Job) -> io::Result<()> {
        let (jobs, name) = match layout {
            DayLayout::Merged => (&self.merged, "anomalake-merge"),
            DayLayout::Sorted => (&self.sorted, "anomalake-sort"),
        };
        let mut jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = match &*jobs {
            Some(sender) => sender,
            None => jobs.insert(start(name)?),
        };
        sender.send(job).map_err(|_| io::Error::other("the merging thread has ended"))
    }
}

fn start(name: &str) -> io::Result<Sender<Job>> {
    let (sender, jobs) = channel::<Job>();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || jobs.into_iter().for_each(|job| job()))?;
    Ok(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_work_of_a_kind_runs_on_one_thread_and_a_panic_does_not_end_it() {
        let threads = MergeThreads::default();
        let id = |layout| threads.begin(layout, || Ok(std::thread::current().id())).unwrap();
        let first = id(DayLayout::Merged).await.unwrap();
        let panicked = threads.begin::<()>(DayLayout::Merged, || panic!("planted")).unwrap().await;
        assert!(matches!(panicked, Err(LakeError::Io(_))), "{panicked:?}");
        assert_eq!(id(DayLayout::Merged).await.unwrap(), first);
        assert_ne!(id(DayLayout::Sorted).await.unwrap(), first);
    }
}
