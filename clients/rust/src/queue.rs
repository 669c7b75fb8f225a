use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_core::Stream;

use crate::error::{Error, Result};

/// What nobody can leave half changed: a panic of a program's code never happens under the lock.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct State<T> {
    items: VecDeque<T>,
    ended: bool,
    error: Option<Error>,
    wake: Option<Waker>,
}

/// The writing side of a bounded queue. Full: the reader gets what is queued and then the error.
pub(crate) struct Sender<T> {
    state: Arc<Mutex<State<T>>>,
    max: usize,
    name: &'static str,
}

impl<T> Sender<T> {
    /// False when nobody reads any more.
    pub(crate) fn push(&self, item: T) -> bool {
        let mut state = lock(&self.state);
        if state.ended {
            return false;
        }
        if state.items.len() >= self.max {
            state.error = Some(Error::queue_full(self.name, format!("{} items", self.max)));
            state.ended = true;
        } else {
            state.items.push_back(item);
        }
        if let Some(wake) = state.wake.take() {
            wake.wake();
        }
        !state.ended
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.ended = true;
        if let Some(wake) = state.wake.take() {
            wake.wake();
        }
    }
}

/// What is told of a call, in order, from the moment it was asked for; ends with the call. When its bound is passed it
/// gives what is queued and then `QueueFull`.
pub struct Events<T> {
    state: Arc<Mutex<State<T>>>,
}

/// A queue of at most `max` items.
pub(crate) fn queue<T>(name: &'static str, max: usize) -> (Sender<T>, Events<T>) {
    let state = State { items: VecDeque::new(), ended: false, error: None, wake: None };
    let state = Arc::new(Mutex::new(state));
    (Sender { state: state.clone(), max, name }, Events { state })
}

impl<T> Events<T> {
    /// The next one; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<T>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl<T> Stream for Events<T> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = lock(&self.state);
        if let Some(item) = state.items.pop_front() {
            return Poll::Ready(Some(Ok(item)));
        }
        if let Some(error) = state.error.take() {
            return Poll::Ready(Some(Err(error)));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        state.wake = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<T> Drop for Events<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.ended = true;
        state.items.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reason;

    #[tokio::test]
    async fn gives_what_is_queued_and_then_the_error_when_full() {
        let (sender, mut events) = queue("the queue of events", 2);
        assert!(sender.push(1));
        assert!(sender.push(2));
        assert!(!sender.push(3));
        assert!(!sender.push(4));
        assert_eq!(events.next().await.unwrap().unwrap(), 1);
        assert_eq!(events.next().await.unwrap().unwrap(), 2);
        assert_eq!(events.next().await.unwrap().unwrap_err().reason(), Reason::QueueFull);
        assert!(events.next().await.is_none());
    }

    #[tokio::test]
    async fn ends_with_its_writer_and_tells_it_that_nobody_reads() {
        let (sender, mut events) = queue("q", 2);
        sender.push(1);
        drop(sender);
        assert_eq!(events.next().await.unwrap().unwrap(), 1);
        assert!(events.next().await.is_none());
        let (sender, events) = queue("q", 2);
        drop(events);
        assert!(!sender.push(1));
    }
}
