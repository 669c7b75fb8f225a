use std::pin::Pin;
use std::task::{Context, Poll};

use crate::error::Result;

/// The result of something that has its place already: it takes effect whether or not this is awaited. What dropping it
/// does is said at each method of [`Call`](crate::Call).
#[must_use = "dropping it cancels a verb that has had no effect yet"]
pub struct Pending<T> {
    future: Pin<Box<dyn Future<Output = Result<T>> + Send>>,
}

impl<T> Pending<T> {
    pub(crate) fn new(future: impl Future<Output = Result<T>> + Send + 'static) -> Self {
        Self { future: Box::pin(future) }
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        self.future.as_mut().poll(cx)
    }
}
