use callweave::Bytes;
use callweave::proto::agent_item::Item;
use callweave::proto::agent_service_client::AgentServiceClient;
use callweave::proto::gateway_item::Item as Told;
use callweave::proto::{Accept, AgentAudio, AgentItem, Bye, Mark, Register, ServeRequest};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::Endpoint;

use crate::io::{Answer, Args, Refusal, print, text, texts};

const PIECE_BYTES: usize = 3_200;

/// The simple form, with generated stubs alone: capacity 1, no handles, one item a message, no heartbeat. Takes one call,
/// plays the file and leaves with Bye when it was heard. Answers when the stream is over.
pub async fn simple_form(args: &Args) -> Answer {
    let failed = |error: &dyn std::fmt::Display| Refusal::program(error.to_string());
    let endpoint = texts(args, "endpoints")
        .into_iter()
        .next()
        .unwrap_or_default();
    let file = text(args, "file").unwrap_or_default();
    let channel =
        Endpoint::from_shared(format!("http://{endpoint}")).map_err(|error| failed(&error))?;
    let channel = channel.connect().await.map_err(|error| failed(&error))?;
    let (sender, receiver) = mpsc::unbounded_channel();
    let mut sender = Some(sender);
    let send = |sender: &Option<mpsc::UnboundedSender<ServeRequest>>, item: Item| {
        if let Some(sender) = sender {
            let _ = sender.send(ServeRequest {
                items: vec![AgentItem { item: Some(item) }],
            });
        }
    };
    let register = Register {
        agent_id: text(args, "agentId").unwrap_or_else(|| "simple".into()),
        capacity: 1,
        answer_on_accept: true,
        ..Default::default()
    };
    send(&sender, Item::Register(register));
    let requests = UnboundedReceiverStream::new(receiver);
    let mut stream = AgentServiceClient::new(channel)
        .serve(requests)
        .await
        .map_err(|status| Refusal::from(callweave::Error::from(status)))?
        .into_inner();
    let mut call_id = String::new();
    while let Some(response) = stream.message().await.map_err(callweave::Error::from)? {
        for item in response.items.into_iter().filter_map(|item| item.item) {
            match item {
                Told::Registered(_) => print(json!({ "event": "registered" })),
                Told::Offer(_) => send(&sender, Item::Accept(Accept::default())),
                Told::Assigned(assigned) => {
                    call_id = assigned.call.unwrap_or_default().call_id;
                    print(json!({ "event": "call", "call": call_id }));
                    let audio = Bytes::from(std::fs::read(&file).map_err(|error| failed(&error))?);
                    for at in (0..audio.len()).step_by(PIECE_BYTES) {
                        let pcm = audio.slice(at..audio.len().min(at + PIECE_BYTES));
                        send(&sender, Item::Audio(AgentAudio { handle: 0, pcm }));
                    }
                    send(
                        &sender,
                        Item::Mark(Mark {
                            handle: 0,
                            name: "said".into(),
                        }),
                    );
                }
                Told::MarkReached(_) => {
                    send(&sender, Item::Bye(Bye {}));
                    // The end of what is sent ends this half of the stream.
                    sender = None;
                }
                _ => {}
            }
        }
    }
    Ok(json!({ "call": call_id }))
}
