use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::sync::mpsc;

use crate::error::Result;

/// How many items are read before the program takes them; then the stream is not read on, and the gateway decides.
const READ_AHEAD: usize = 16;

/// What comes from a gateway, until it ends or breaks. Dropping it ends it.
pub struct Feed<T> {
    receiver: mpsc::Receiver<Result<T>>,
}

pub(crate) struct FeedSender<T> {
    sender: mpsc::Sender<Result<T>>,
}

impl<T> FeedSender<T> {
    /// False when nobody reads any more.
    pub(crate) async fn send(&self, item: T) -> bool {
        self.sender.send(Ok(item)).await.is_ok()
    }
}

impl<T: Send + 'static> Feed<T> {
    /// Runs `read` until it ends or nobody reads any more; its error is the last item.
    pub(crate) fn start<F, Fut>(read: F) -> Self
    where
        F: FnOnce(FeedSender<T>) -> Fut + Send + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(READ_AHEAD);
        let work = read(FeedSender { sender: sender.clone() });
        tokio::spawn(async move {
            let result = tokio::select! {
                biased;
                () = sender.closed() => return,
                result = work => result,
            };
            if let Err(error) = result {
                let _ = sender.send(Err(error)).await;
            }
        });
        Self { receiver }
    }

    /// The next one; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<T>> {
        self.receiver.recv().await
    }
}

impl<T> Stream for Feed<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(cx)
    }
}
