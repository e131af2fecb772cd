//! Jobs on their way to the threads of a lane. The thread that went to rest last is woken first: its caches are warm, and
//! in quiet times the same few threads do all the work. A channel wakes them in turn, and its waiting threads look again
//! and again before they sleep, which took a fifth of a short request's CPU time.

use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;

pub(super) struct Queue<T>(Mutex<State<T>>);

struct State<T> {
    jobs: VecDeque<T>,
    /// The bells of the threads that sleep, the latest last.
    resting: Vec<Arc<Condvar>>,
    closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Queue<T> {
        Queue(Mutex::new(State { jobs: VecDeque::new(), resting: Vec::new(), closed: false }))
    }

    /// Never blocks for long. How many jobs may wait is the caller's concern.
    pub(super) fn push(&self, job: T) {
        let mut state = self.0.lock();
        state.jobs.push_back(job);
        let bell = state.resting.pop();
        drop(state);
        if let Some(bell) = bell {
            bell.notify_one();
        }
    }

    /// Waits for the next job; `None` once the queue is closed and empty. Each thread has a `bell` of its own.
    pub(super) fn pop(&self, bell: &Arc<Condvar>) -> Option<T> {
        let mut state = self.0.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.closed {
                return None;
            }
            state.resting.push(bell.clone());
            bell.wait(&mut state);
        }
    }

    /// Lets the threads end once no job is left.
    pub(super) fn close(&self) {
        let mut state = self.0.lock();
        state.closed = true;
        let resting = std::mem::take(&mut state.resting);
        drop(state);
        for bell in resting {
            bell.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::thread;

    #[test]
    fn every_job_is_done_once_and_closing_ends_the_threads() {
        let queue = Arc::new(Queue::new());
        let (send, done) = channel();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (queue, send) = (queue.clone(), send.clone());
                thread::spawn(move || {
                    let bell = Arc::default();
                    while let Some(job) = queue.pop(&bell) {
                        send.send(job).unwrap();
                    }
                })
            })
            .collect();
        drop(send);
        (0..1000).for_each(|job| queue.push(job));
        queue.close();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let mut jobs: Vec<i32> = done.iter().collect();
        jobs.sort_unstable();
        assert_eq!(jobs, Vec::from_iter(0..1000));
    }

    #[test]
    fn the_thread_that_rested_last_is_woken_first() {
        let queue = Arc::new(Queue::new());
        let (send, done) = channel();
        let mut threads = Vec::new();
        for name in 0..3 {
            let (thread_queue, send) = (queue.clone(), send.clone());
            threads.push(thread::spawn(move || {
                let bell = Arc::default();
                while thread_queue.pop(&bell).is_some() {
                    send.send(name).unwrap();
                }
            }));
            while queue.0.lock().resting.len() <= name {
                thread::yield_now();
            }
        }
        for _ in 0..5 {
            queue.push(());
            assert_eq!(done.recv().unwrap(), 2);
            while queue.0.lock().resting.len() < 3 {
                thread::yield_now();
            }
        }
        queue.close();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}
