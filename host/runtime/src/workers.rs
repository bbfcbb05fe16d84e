//! A small fixed number of OS threads on which pure guests run, fed by a bounded queue, so that a guest that computes for
//! its whole deadline never blocks the async runtime.

use std::{panic::AssertUnwindSafe, sync::Arc, thread::JoinHandle};
use tokio::sync::{mpsc, oneshot};

/// A guest has 1 MiB of it; the rest is for the host functions it calls and for our own frames.
const WORKER_STACK_BYTES: usize = 4 << 20;

/// Jobs that may wait per worker. A caller beyond that waits too, which is what slows the rooms down to the guests' pace.
const QUEUED_JOBS_PER_WORKER: usize = 64;

type Job = Box<dyn FnOnce() + Send>;

/// A job did not come to an end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkerError {
    /// The host's own code panicked; the worker goes on.
    #[error("the host panicked while it ran this call; this is a defect of the server, please report it with its log")]
    Panicked,
    /// The runtime is shutting down.
    #[error("the server is shutting down")]
    Closed,
}

/// The threads. They end when the last handle is dropped and the queue is empty.
pub(crate) struct Workers {
    queue: Option<mpsc::Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts `count` threads, named `name`.
    pub(crate) fn start(name: &str, count: usize) -> std::io::Result<Self> {
        let count = count.max(1);
        let (queue, jobs) = mpsc::channel::<Job>(count * QUEUED_JOBS_PER_WORKER);
        let jobs = Arc::new(parking_lot::Mutex::new(jobs));
        let mut threads = Vec::with_capacity(count);
        for number in 0..count {
            let jobs = jobs.clone();
            threads.push(
                std::thread::Builder::new().name(format!("{name}-{number}")).stack_size(WORKER_STACK_BYTES).spawn(
                    move || {
                        loop {
                            // The lock is held while waiting, so that exactly one idle worker takes the next job.
                            let job = jobs.lock().blocking_recv();
                            let Some(job) = job else { return };
                            // The job's own answer channel is dropped by the unwinding, which tells the caller.
                            let _ = std::panic::catch_unwind(AssertUnwindSafe(job));
                        }
                    },
                )?,
            );
        }
        Ok(Self { queue: Some(queue), threads })
    }

    /// How many threads there are.
    pub(crate) fn count(&self) -> usize {
        self.threads.len()
    }

    /// Runs a job on one of the threads. When the caller goes away, a job that waits is dropped unrun and one that runs
    /// ends at its own deadline.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, WorkerError> {
        let queue = self.queue.as_ref().ok_or(WorkerError::Closed)?;
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move || {
            if !answer.is_closed() {
                let _ = answer.send(job());
            }
        });
        queue.send(job).await.map_err(|_| WorkerError::Closed)?;
        answered.await.map_err(|_| WorkerError::Panicked)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            // The last handle may be dropped on a worker itself, which cannot wait for its own end.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_job_that_panics_is_told_and_the_worker_goes_on() {
        let workers = Workers::start("test", 1).expect("threads");
        let panicked = workers.run(|| panic!("on purpose")).await;
        assert!(matches!(panicked, Err(WorkerError::Panicked)));
        assert_eq!(workers.run(|| 7).await.expect("answer"), 7);
    }

    #[tokio::test]
    async fn a_job_whose_caller_went_away_while_it_waited_is_not_run() {
        let workers = Workers::start("test", 1).expect("threads");
        let (release, held) = std::sync::mpsc::channel::<()>();
        let first = workers.run(move || held.recv());
        tokio::pin!(first);
        // Polled once, the first job takes the only worker.
        assert!(futures::poll!(first.as_mut()).is_pending());
        let ran = Arc::new(std::sync::atomic::AtomicBool::new(false));
        {
            let seen = ran.clone();
            let second = workers.run(move || seen.store(true, std::sync::atomic::Ordering::SeqCst));
            tokio::pin!(second);
            assert!(futures::poll!(second.as_mut()).is_pending());
        }
        release.send(()).expect("the first job waits");
        assert!(first.await.expect("ran").is_ok());
        workers.run(|| ()).await.expect("the queue is empty");
        assert!(!ran.load(std::sync::atomic::Ordering::SeqCst));
    }
}
