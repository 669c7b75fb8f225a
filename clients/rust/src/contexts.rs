use std::time::Duration;

use tonic::Code;

use crate::connection::Connection;
use crate::context_types::*;
use crate::convert::*;
use crate::enums::*;
use crate::error::{Error, Reason, Result};
use crate::feed::Feed;
use crate::proto;
use crate::proto::context_service_client::ContextServiceClient as Service;
use crate::types::Turn;

/// The largest message: a context with very many turns is more than the 4 MiB that tonic takes.
const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// Whose contexts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Number {
    /// Of calls from this number.
    Caller(String),
    /// Of calls to this number.
    Callee(String),
}

/// Which contexts `list` gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContextFilter {
    /// Only these; empty: all.
    pub statuses: Vec<ContextStatus>,
    /// Only of this caller; empty: of all.
    pub caller: String,
    /// 1 to 1,000; 0: 100.
    pub page_size: u32,
    /// From `next_page_token`.
    pub page_token: String,
}

/// A page of contexts.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ContextPage {
    /// Newest first, without turns.
    pub contexts: Vec<CallContext>,
    /// Empty on the last page.
    pub next_page_token: String,
    /// The store is away, and only what was written since then is here.
    pub partial: bool,
}

/// Reads and writes the contexts of calls.
#[derive(Clone)]
pub struct Contexts {
    connection: Connection,
}

impl Contexts {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Writes a context: fields that are set replace what is there, turns are appended by id, data is merged.
    pub async fn save(&self, call_id: &str, fields: ContextFields) -> Result<WrittenContext> {
        let request = proto::SaveContextRequest { context: Some(from_fields(call_id, fields)) };
        let response = self
            .connection
            .unary(request, Duration::ZERO, true, |channel, request| async {
                Service::new(channel).save_context(request).await
            })
            .await?;
        written(response.context, response.durability)
    }

    /// Writes exactly the fields that are set. `revision`: only when the revision is still this one, else
    /// `RevisionConflict`. `note`: added to the notes, 1 to 2,000 characters.
    pub async fn update(
        &self,
        call_id: &str,
        fields: ContextFields,
        revision: Option<u64>,
        note: Option<&str>,
    ) -> Result<WrittenContext> {
        let request = proto::UpdateContextRequest {
            update_mask: Some(prost_types::FieldMask { paths: mask(&fields) }),
            context: Some(from_fields(call_id, fields)),
            revision: revision.unwrap_or(0),
            add_note: note.unwrap_or_default().to_owned(),
        };
        let response = self
            .connection
            .unary(request, Duration::ZERO, false, |channel, request| async {
                Service::new(channel).update_context(request).await
            })
            .await?;
        written(response.context, response.durability)
    }

    /// Appends 1 to 100 turns. A turn whose id is there already is left, except that `heard` and `interrupted` are added.
    pub async fn append_turns(&self, call_id: &str, turns: Vec<Turn>) -> Result<AppendedTurns> {
        let turns = turns.into_iter().map(from_turn).collect();
        let request = proto::AppendTurnsRequest { call_id: call_id.to_owned(), turns };
        let response = self
            .connection
            .unary(request, Duration::ZERO, true, |channel, request| async {
                Service::new(channel).append_turns(request).await
            })
            .await?;
        Ok(AppendedTurns {
            turn_count: to_u32(response.turn_count),
            durability: ContextDurability::from_wire(response.durability),
        })
    }

    /// The context of a call with all turns. `ContextNotFound`.
    pub async fn get(&self, call_id: &str) -> Result<CallContext> {
        self.get_by(proto::get_context_request::Key::CallId(call_id.to_owned())).await
    }

    /// The context of the call of a session of the provider, with all turns. `ContextNotFound`.
    pub async fn get_by_session(&self, session_id: &str) -> Result<CallContext> {
        self.get_by(proto::get_context_request::Key::SessionId(session_id.to_owned())).await
    }

    async fn get_by(&self, key: proto::get_context_request::Key) -> Result<CallContext> {
        let request = proto::GetContextRequest { key: Some(key) };
        let response = self
            .connection
            .unary(request, Duration::ZERO, true, |channel, request| async {
                Service::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES).get_context(request).await
            })
            .await?;
        context(response.context)
    }

    /// The contexts of a number, newest first: the ringing phone shows a number, not a call id. `within`: not older than
    /// this; `None`: 24 hours. `page_size`: 1 to 100; 0: 10.
    pub async fn find(
        &self,
        number: Number,
        within: Option<Duration>,
        page_size: u32,
    ) -> Result<Vec<CallContext>> {
        use proto::find_contexts_request::Number as Wire;
        let request = proto::FindContextsRequest {
            number: Some(match number {
                Number::Caller(number) => Wire::Caller(number),
                Number::Callee(number) => Wire::Callee(number),
            }),
            within: from_duration(within),
            page_size: page_size as i32,
        };
        let response = self
            .connection
            .unary(request, Duration::ZERO, false, |channel, request| async {
                Service::new(channel)
                    .max_decoding_message_size(MAX_MESSAGE_BYTES)
                    .find_contexts(request)
                    .await
            })
            .await?;
        Ok(response.contexts.into_iter().map(to_context).collect())
    }

    /// All contexts, newest first, without turns.
    pub async fn list(&self, filter: ContextFilter) -> Result<ContextPage> {
        let request = proto::ListContextsRequest {
            statuses: filter.statuses.into_iter().map(ContextStatus::to_wire).collect(),
            caller: filter.caller,
            page_size: filter.page_size as i32,
            page_token: filter.page_token,
        };
        let response = self
            .connection
            .unary(request, Duration::ZERO, false, |channel, request| async {
                Service::new(channel).list_contexts(request).await
            })
            .await?;
        Ok(ContextPage {
            contexts: response.contexts.into_iter().map(to_context).collect(),
            next_page_token: response.next_page_token,
            partial: response.partial,
        })
    }

    /// Contexts as they are written from now on, without turns, of one call or of all. Ends with an error when the stream
    /// breaks.
    pub fn watch(&self, call_id: Option<&str>) -> Feed<CallContext> {
        let connection = self.connection.clone();
        let request = proto::WatchContextsRequest { call_id: call_id.unwrap_or_default().to_owned() };
        Feed::start(async move |sender| {
            let timeout = connection.options.request_timeout;
            let request = connection.options.request(request, timeout).await?;
            let (_, channel) = connection.channel()?;
            let mut stream = Service::new(channel).watch_contexts(request).await?.into_inner();
            while let Some(message) = stream.message().await? {
                if !sender.send(context(message.context)?).await {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Deletes the context of a call; answers how many there were.
    pub async fn delete(&self, call_id: &str) -> Result<u32> {
        self.delete_by(proto::delete_contexts_request::Target::CallId(call_id.to_owned())).await
    }

    /// Deletes everything of a caller; answers how many there were.
    pub async fn delete_caller(&self, caller: &str) -> Result<u32> {
        self.delete_by(proto::delete_contexts_request::Target::Caller(caller.to_owned())).await
    }

    async fn delete_by(&self, target: proto::delete_contexts_request::Target) -> Result<u32> {
        let request = proto::DeleteContextsRequest { target: Some(target) };
        let response = self
            .connection
            .unary(request, Duration::ZERO, false, |channel, request| async {
                Service::new(channel).delete_contexts(request).await
            })
            .await?;
        Ok(to_u32(response.deleted_count))
    }
}

fn mask(fields: &ContextFields) -> Vec<String> {
    [
        ("locale", fields.locale.is_some()),
        ("status", fields.status.is_some()),
        ("escalation_reason", fields.escalation_reason.is_some()),
        ("routing_hint", fields.routing_hint.is_some()),
        ("summary", fields.summary.is_some()),
        ("summary_source", fields.summary_source.is_some()),
        ("data", fields.data.is_some()),
        ("consent", fields.consent.is_some()),
        ("outcome", fields.outcome.is_some()),
    ]
    .into_iter()
    .filter(|(_, set)| *set)
    .map(|(name, _)| name.to_owned())
    .collect()
}

fn from_fields(call_id: &str, fields: ContextFields) -> proto::CallContext {
    proto::CallContext {
        call_id: call_id.to_owned(),
        locale: fields.locale.unwrap_or_default(),
        status: fields.status.map_or(0, ContextStatus::to_wire),
        escalation_reason: fields.escalation_reason.map_or(0, EscalationReason::to_wire),
        routing_hint: fields.routing_hint.unwrap_or_default(),
        summary: fields.summary.unwrap_or_default(),
        summary_source: fields.summary_source.map_or(0, SummarySource::to_wire),
        data: fields.data.map(from_data),
        consent: fields.consent.map(|consent| proto::Consent {
            disclosed_time: from_time(consent.disclosed_time),
            transcript: consent.transcript,
            paused: consent.paused,
        }),
        outcome: fields.outcome.unwrap_or_default(),
        turns: fields.turns.into_iter().map(from_turn).collect(),
        ..Default::default()
    }
}

fn context(context: Option<proto::CallContext>) -> Result<CallContext> {
    let missing = || Error::new(Reason::Internal, Code::Internal, "the gateway answered without a context");
    context.map(to_context).ok_or_else(missing)
}

fn written(of: Option<proto::CallContext>, durability: i32) -> Result<WrittenContext> {
    Ok(WrittenContext { context: context(of)?, durability: ContextDurability::from_wire(durability) })
}
