use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument;

use crate::call::Call;
use crate::call_inner::CallInner;
use crate::enums::{CallState, OnInterrupt};
use crate::error::{Error, Reason};
use crate::verbs::{After, Close, Disconnect};
use crate::worker::{Shared, panicked};

impl Shared {
    /// Runs the handler, once the call is answered if accepting answers it.
    pub(crate) fn assigned(self: Arc<Self>, inner: Arc<CallInner>) {
        let call = Call::new(inner.clone());
        // The number of a caller is nobody's business in a log.
        let span = tracing::info_span!("callweave.call", call_id = %inner.id, epoch = call.epoch());
        let handlers = self.handlers.clone();
        let watched = inner.clone();
        let shared = self.clone();
        tokio::spawn(async move {
            watched.over.cancelled().await;
            shared.call_over();
        });
        handlers.spawn(
            async move {
                if self.options.answer_on_accept {
                    let _ = inner.settled.subscribe().wait_for(|settled| *settled).await;
                }
                if !inner.is_over() {
                    self.handle(call).await;
                }
            }
            .instrument(span),
        );
    }

    async fn handle(&self, call: Call) {
        // In a task of its own: a panic is its end and nothing else.
        let task = tokio::spawn((self.handler)(call.clone()).in_current_span());
        let abort = task.abort_handle();
        let result = tokio::select! {
            () = self.stop_handlers.cancelled() => {
                abort.abort();
                return;
            }
            result = task => result.unwrap_or_else(|error| {
                let text = error.try_into_panic().map(|panic| panicked("the handler", &*panic));
                Err(text.unwrap_or_else(|error| error.into()))
            }),
        };
        let over = call.inner().is_over();
        let ended = match result {
            _ if over => Ok(()),
            Err(error) => {
                self.error(error, Some(call.id()));
                call.settle();
                call.release().await
            }
            // The last handle that the program keeps gives the seat back.
            Ok(()) if self.options.keep => Ok(()),
            // A command of the handler that still waits or runs goes first: then this one is refused, which is right.
            Ok(()) => {
                call.settle();
                match call.state() {
                    CallState::Connected => call.close(Close::new()).await,
                    CallState::Pending => call.release().await,
                    _ => {
                        let disconnect = Disconnect::new()
                            .after(After::Drained)
                            .after_deadline(Duration::from_secs(120))
                            .on_interrupt(OnInterrupt::Proceed);
                        call.disconnect(disconnect).await
                    }
                }
            }
        };
        if let Err(error) = ended
            && !ends_anyway(&error)
        {
            self.error(error.into(), Some(call.id()));
        }
    }
}

/// The call ended meanwhile, or is ending in another way: what was wanted.
fn ends_anyway(error: &Error) -> bool {
    use Reason::*;
    matches!(
        error.reason(),
        CallOver
            | CallState
            | PendingCommand
            | SeatNotHeld
            | CommandCancelled
            | CallNotFound
            | CommandNotFound
    )
}
