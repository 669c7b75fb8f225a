use tokio::sync::oneshot;
use tonic::Code;

use crate::convert::to_escalation;
use crate::enums::{EndReason, EscalationOutcome, SeatCause};
use crate::error::{Error, Reason, Result};
use crate::proto;
use crate::types::{CallEnd, EndCause, EscalationResult};
use crate::verbs::{Verb, proceeds_on_interrupt};

type Outcome = Result<Option<EscalationResult>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    /// In the playback queue.
    Queued,
    /// With the gateway.
    Sent,
    /// With the gateway and answered as pending.
    Pending,
}

struct Entry {
    request_id: String,
    verb: Verb,
    at: Where,
    done: oneshot::Sender<Outcome>,
}

/// The commands of one call that are not finished, in the order they were given. Knows no socket.
pub(crate) struct Commands {
    call_id: String,
    entries: Vec<Entry>,
}

impl Commands {
    pub(crate) fn new(call_id: &str) -> Self {
        Self { call_id: call_id.to_owned(), entries: Vec::new() }
    }

    /// Takes a command; the receiver is told when it is finished.
    pub(crate) fn add(
        &mut self,
        request_id: &str,
        verb: Verb,
        queued: bool,
    ) -> Result<oneshot::Receiver<Outcome>> {
        if self.has(request_id) {
            return Err(Error::with(
                Reason::RequestIdReused,
                Code::AlreadyExists,
                format!("request_id {request_id} is already under way"),
                [("request_id", request_id.to_owned())],
            ));
        }
        let (done, receiver) = oneshot::channel();
        let at = if queued { Where::Queued } else { Where::Sent };
        self.entries.push(Entry { request_id: request_id.to_owned(), verb, at, done });
        Ok(receiver)
    }

    /// The command as it goes on the wire; it counts as sent from now on. `None` when it is not there any more.
    pub(crate) fn take_to_send(&mut self, request_id: &str, handle: u32) -> Option<proto::Command> {
        let entry = self.find(request_id)?;
        entry.at = Where::Sent;
        Some(proto::Command { handle, request_id: request_id.to_owned(), verb: Some(entry.verb.clone()) })
    }

    pub(crate) fn is_queued(&self, request_id: &str) -> bool {
        self.entries.iter().any(|e| e.request_id == request_id && e.at == Where::Queued)
    }

    pub(crate) fn has(&self, request_id: &str) -> bool {
        self.entries.iter().any(|e| e.request_id == request_id)
    }

    /// Sent, and nothing came back: to be sent again on a new stream. The same id makes that safe.
    pub(crate) fn unanswered(&self) -> Vec<String> {
        self.ids(Where::Sent)
    }

    /// Answered as pending, and not finished.
    pub(crate) fn pending(&self) -> Vec<String> {
        self.ids(Where::Pending)
    }

    /// Nobody knows how it ended.
    pub(crate) fn unknown(&mut self, request_id: &str) {
        if !self.entries.iter().any(|e| e.request_id == request_id && e.at == Where::Pending) {
            return;
        }
        let error = Error::with(
            Reason::OutcomeUnknown,
            Code::Unknown,
            "the gateway that carried it out died; its outcome is unknown",
            [("call_id", self.call_id.clone()), ("request_id", request_id.to_owned())],
        );
        self.finish(request_id, Some(error), None);
    }

    /// It goes back to the playback queue, since the audio before it does.
    pub(crate) fn requeue(&mut self, request_id: &str) {
        if let Some(entry) = self.find(request_id) {
            entry.at = Where::Queued;
        }
    }

    /// The gateway answered.
    pub(crate) fn on_result(&mut self, result: proto::CommandResult) {
        if result.pending && result.error.is_none() {
            if let Some(entry) = self.find(&result.request_id) {
                entry.at = Where::Pending;
            }
            return;
        }
        let error = result.error.as_ref().map(Error::from_wire);
        self.finish(&result.request_id, error, to_escalation(result.escalation));
    }

    /// It is finished.
    pub(crate) fn finish(
        &mut self,
        request_id: &str,
        error: Option<Error>,
        escalation: Option<EscalationResult>,
    ) {
        let Some(entry) = self.take(request_id) else { return };
        // The outcome of an escalation says more than its error: nobody picked up, the caller left.
        let outcome = match (error, escalation) {
            (_, Some(escalation)) if matches!(entry.verb, Verb::Escalate(_)) => Ok(Some(escalation)),
            (Some(error), _) => Err(error),
            (None, escalation) => Ok(escalation),
        };
        let _ = entry.done.send(outcome);
    }

    /// Given up while it is still queued.
    pub(crate) fn cancel_locally(&mut self, request_id: &str, cause: &str) {
        let error = Error::with(
            Reason::CommandCancelled,
            Code::Cancelled,
            "the command was cancelled before it had an effect",
            [
                ("call_id", self.call_id.clone()),
                ("request_id", request_id.to_owned()),
                ("cause", cause.to_owned()),
            ],
        );
        if let Some(entry) = self.take(request_id) {
            let _ = entry.done.send(Err(error));
        }
    }

    /// `clear` met it in the playback queue: true when it goes ahead, else it is cancelled.
    pub(crate) fn on_interrupt(&mut self, request_id: &str) -> bool {
        let Some(entry) = self.find(request_id) else { return false };
        if proceeds_on_interrupt(&entry.verb) {
            return true;
        }
        self.cancel_locally(request_id, "INTERRUPTED");
        false
    }

    /// The seat is gone. Commands whose success is just that have succeeded.
    pub(crate) fn on_over(&mut self, end: CallEnd) {
        for entry in self.entries.drain(..) {
            let outcome = match fulfilled_by(&entry.verb, end) {
                Some(result) if entry.at != Where::Queued => Ok(result),
                _ => Err(Error::call_over(&self.call_id, end.cause.as_str())),
            };
            let _ = entry.done.send(outcome);
        }
    }

    fn find(&mut self, request_id: &str) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|e| e.request_id == request_id)
    }

    fn take(&mut self, request_id: &str) -> Option<Entry> {
        let at = self.entries.iter().position(|e| e.request_id == request_id)?;
        Some(self.entries.remove(at))
    }

    fn ids(&self, at: Where) -> Vec<String> {
        self.entries.iter().filter(|e| e.at == at).map(|e| e.request_id.clone()).collect()
    }
}

fn fulfilled_by(verb: &Verb, end: CallEnd) -> Option<Option<EscalationResult>> {
    let EndCause::Seat(cause) = end.cause else { return None };
    let left = end.end_reason == Some(EndReason::LeftToParties);
    let ended = cause == SeatCause::CallEnded;
    match verb {
        Verb::Escalate(_) if cause == SeatCause::Escalated || ended => {
            let connected = !ended || left;
            let outcome =
                if connected { EscalationOutcome::Connected } else { EscalationOutcome::CallerLeft };
            Some(Some(EscalationResult { outcome, durability: None }))
        }
        Verb::Transfer(_) if cause == SeatCause::Transferred => Some(None),
        Verb::Release(_) if cause == SeatCause::Released => Some(None),
        Verb::Close(_) if ended && (left || end.end_reason == Some(EndReason::Disconnected)) => Some(None),
        Verb::Disconnect(_) if ended => Some(None),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::{Disconnect, Escalate};

    fn escalate() -> Verb {
        let request = Escalate::new(crate::EscalationReason::Frustrated).request("c", "r");
        Verb::Escalate(request.unwrap())
    }

    fn disconnect() -> Verb {
        Verb::Disconnect(Disconnect::new().request("c", "r").unwrap())
    }

    fn end(cause: SeatCause, end_reason: Option<EndReason>) -> CallEnd {
        CallEnd { cause: EndCause::Seat(cause), end_reason }
    }

    #[test]
    fn refuses_an_id_that_is_under_way() {
        let mut commands = Commands::new("c");
        let _first = commands.add("r", disconnect(), false).unwrap();
        let error = commands.add("r", disconnect(), false).unwrap_err();
        assert_eq!(error.reason(), Reason::RequestIdReused);
    }

    #[test]
    fn sends_again_what_had_no_answer_but_not_what_is_pending() {
        let mut commands = Commands::new("c");
        let _a = commands.add("a", disconnect(), false).unwrap();
        let _b = commands.add("b", escalate(), false).unwrap();
        let result = proto::CommandResult { request_id: "b".into(), pending: true, ..Default::default() };
        commands.on_result(result);
        assert_eq!(commands.unanswered(), ["a"]);
        assert_eq!(commands.pending(), ["b"]);
    }

    #[test]
    fn the_end_of_the_seat_is_success_for_what_wanted_it() {
        let mut commands = Commands::new("c");
        let mut escalation = commands.add("e", escalate(), false).unwrap();
        commands.on_over(end(SeatCause::CallEnded, Some(EndReason::LeftToParties)));
        let result = escalation.try_recv().unwrap().unwrap().unwrap();
        assert_eq!(result.outcome, EscalationOutcome::Connected);
        let mut escalation = commands.add("e", escalate(), false).unwrap();
        let mut queued = commands.add("q", disconnect(), true).unwrap();
        commands.on_over(end(SeatCause::CallEnded, Some(EndReason::Terminated)));
        let result = escalation.try_recv().unwrap().unwrap().unwrap();
        assert_eq!(result.outcome, EscalationOutcome::CallerLeft);
        assert_eq!(queued.try_recv().unwrap().unwrap_err().reason(), Reason::CallOver);
    }

    #[test]
    fn an_interrupt_cancels_all_but_what_proceeds() {
        let mut commands = Commands::new("c");
        let _e = commands.add("e", escalate(), true).unwrap();
        let mut d = commands.add("d", disconnect(), true).unwrap();
        assert!(commands.on_interrupt("e"));
        assert!(!commands.on_interrupt("d"));
        let error = d.try_recv().unwrap().unwrap_err();
        assert_eq!(error.reason(), Reason::CommandCancelled);
        assert_eq!(error.metadata()["cause"], "INTERRUPTED");
    }
}
