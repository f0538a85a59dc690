//! Jobs that run beside each other and give their outcomes in the order in which they were started.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use super::error::SinkClosed;

/// Threads that run jobs.
pub trait Workers: Debug + Send + Sync {
    /// How many jobs run at a time.
    fn count(&self) -> usize;

    /// Runs a job soon. One that is never run, because the threads end, is dropped.
    fn start(&self, job: Box<dyn FnOnce() + Send>);
}

/// Jobs of one kind. Without workers each runs where it is started.
#[derive(Debug)]
pub(crate) struct InOrder<'w, T> {
    workers: Option<&'w dyn Workers>,
    under_way: VecDeque<Receiver<thread::Result<T>>>,
}

impl<'w, T: Send + 'static> InOrder<'w, T> {
    pub(crate) fn new(workers: Option<&'w dyn Workers>) -> Self {
        Self { workers, under_way: VecDeque::new() }
    }

    /// Whether no job is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Starts a job, and gives the outcome of the first one under way when that is as many as there are workers, and
    /// one more that waits for them.
    ///
    /// # Errors
    /// When the workers have ended.
    pub(crate) fn start(&mut self, job: impl FnOnce() -> T + Send + 'static) -> Result<Option<T>, SinkClosed> {
        let Some(workers) = self.workers else { return Ok(Some(job())) };
        let (done, outcome) = sync_channel(1);
        workers.start(Box::new(move || {
            // Nobody waits for it when the input was given up meanwhile.
            let _ = done.send(catch_unwind(AssertUnwindSafe(job)));
        }));
        self.under_way.push_back(outcome);
        if self.under_way.len() > workers.count() { self.next() } else { Ok(None) }
    }

    /// Waits for the first job under way; none when there is none.
    ///
    /// # Errors
    /// When the workers have ended.
    pub(crate) fn next(&mut self) -> Result<Option<T>, SinkClosed> {
        let Some(first) = self.under_way.pop_front() else { return Ok(None) };
        match first.recv() {
            Ok(Ok(outcome)) => Ok(Some(outcome)),
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => Err(SinkClosed),
        }
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::Workers;

    /// Starts a thread for each job.
    #[derive(Debug)]
    pub(crate) struct Threads(pub(crate) usize);

    impl Workers for Threads {
        fn count(&self) -> usize {
            self.0
        }

        fn start(&self, job: Box<dyn FnOnce() + Send>) {
            std::thread::spawn(job);
        }
    }

    /// Ends at once.
    #[derive(Debug)]
    pub(crate) struct Ended;

    impl Workers for Ended {
        fn count(&self) -> usize {
            1
        }

        fn start(&self, job: Box<dyn FnOnce() + Send>) {
            drop(job);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::Barrier;

    use super::testing::{Ended, Threads};
    use super::*;

    #[test]
    fn outcomes_come_in_order_and_jobs_run_beside_each_other() {
        let workers = Threads(2);
        let mut jobs = InOrder::new(Some(&workers as &dyn Workers));
        let mut outcomes = Vec::new();
        let both = Arc::new(Barrier::new(2));
        for number in 0..6 {
            let both = Arc::clone(&both);
            let job = move || {
                // Alone it would wait for ever.
                both.wait();
                number
            };
            outcomes.extend(jobs.start(job).unwrap());
        }
        assert_eq!(outcomes, [0, 1, 2, 3]);
        while let Some(outcome) = jobs.next().unwrap() {
            outcomes.push(outcome);
        }
        assert_eq!(outcomes, [0, 1, 2, 3, 4, 5]);
        assert!(jobs.is_idle());
    }

    #[test]
    fn without_workers_a_job_runs_at_once() {
        let mut jobs = InOrder::new(None);
        assert_eq!(jobs.start(|| 7).unwrap(), Some(7));
        assert_eq!(jobs.next().unwrap(), None);
    }

    #[test]
    fn workers_that_end_are_told_from_a_panic() {
        let mut jobs = InOrder::new(Some(&Ended as &dyn Workers));
        assert_eq!(jobs.start(|| 7), Ok(None));
        assert_eq!(jobs.next(), Err(SinkClosed));
        let mut jobs = InOrder::new(Some(&Threads(1) as &dyn Workers));
        assert_eq!(jobs.start(|| -> i32 { std::panic::panic_any("planted") }), Ok(None));
        let panic = catch_unwind(AssertUnwindSafe(|| jobs.next())).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"planted"));
    }
}
