//! Agents against a gateway of the test.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use callweave::proto::agent_item::Item;
use callweave::proto::gateway_item::Item as Told;
use callweave::proto::{self, AssignedResume};
use callweave::*;
use support::{Gateway, command};
use tokio::sync::mpsc;
use tonic::Status as GrpcStatus;

type Errors = Arc<Mutex<Vec<String>>>;

/// An agent that hands its calls to the test and keeps them.
fn keeper(
    gateway: &Gateway,
) -> (AgentBuilder, mpsc::UnboundedReceiver<Call>, Errors, mpsc::UnboundedSender<Call>) {
    let (sender, calls) = mpsc::unbounded_channel();
    let errors = Errors::default();
    let told = errors.clone();
    let builder = agent("test")
        .endpoint(&gateway.address)
        .token("")
        .capacity(10)
        .keep_calls(true)
        .on_status(|_| {})
        .on_error(move |error, call| {
            told.lock().unwrap().push(format!("{}: {error}", call.unwrap_or("-")));
        });
    (builder, calls, errors, sender)
}

fn start(builder: AgentBuilder, calls: mpsc::UnboundedSender<Call>) -> Worker {
    let worker = builder
        .handler(move |call| {
            let _ = calls.send(call);
            async { Ok(()) }
        })
        .unwrap();
    let running = worker.clone();
    tokio::spawn(async move { running.start().await });
    worker
}

#[tokio::test]
async fn registers_and_gives_a_call_to_its_handler() {
    let mut gateway = Gateway::start().await;
    let (builder, mut calls, _, sender) = keeper(&gateway);
    let _worker = start(builder.token("secret").sample_rate(8_000), sender);
    let mut stream = gateway.stream().await;
    assert_eq!(stream.token.as_deref(), Some("Bearer secret"));
    let Item::Register(register) = stream.registered().await else { panic!("no registration") };
    assert_eq!((register.agent_id.as_str(), register.capacity), ("test", 10));
    assert_eq!(register.audio_format.unwrap().sample_rate_hertz, 8_000);
    stream.call("c-1", 7).await;
    let call = calls.recv().await.unwrap();
    assert_eq!((call.id(), call.state()), ("c-1", CallState::Answered));
}

#[tokio::test]
async fn clear_goes_behind_the_audio_before_it_and_ahead_of_what_comes_after() {
    let mut gateway = Gateway::start().await;
    let (builder, mut calls, _, sender) = keeper(&gateway);
    let _worker = start(builder, sender);
    let mut stream = gateway.stream().await;
    stream.registered().await;
    stream.call("c-1", 1).await;
    let call = calls.recv().await.unwrap();
    let before = call.play(vec![1u8; 64_000]);
    let mark = call.mark("never");
    let clear = call.clear();
    let _after = call.play(vec![2u8; 3_200]);
    let mut seen = Vec::new();
    loop {
        match stream.next().await {
            Item::Audio(audio) => {
                seen.push(audio.pcm[0]);
                if audio.pcm[0] == 2 {
                    break;
                }
            }
            Item::ClearPlayback(_) => {
                seen.push(0);
                stream
                    .tell(Told::PlaybackCleared(proto::PlaybackCleared {
                        handle: 1,
                        dropped_local: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
                        ..Default::default()
                    }))
                    .await;
            }
            _ => {}
        }
    }
    let at = seen.iter().position(|what| *what == 0).expect("a clear");
    assert!(seen[..at].iter().all(|what| *what == 1) && seen[at + 1..] == [2], "{seen:?}");
    assert_eq!(before.await.unwrap(), PlayEnd::Cleared);
    assert_eq!(mark.await.unwrap(), MarkEnd::Cleared);
    assert!(clear.await.unwrap().dropped >= Duration::from_secs(1));
}

#[tokio::test]
async fn reattaches_and_sends_again_what_had_no_answer() {
    let mut gateway = Gateway::start().await;
    let (builder, mut calls, errors, sender) = keeper(&gateway);
    let _worker = start(builder, sender);
    let mut stream = gateway.stream().await;
    stream.registered().await;
    stream.call("c-1", 1).await;
    let call = calls.recv().await.unwrap();
    let mut notices = call.notices();
    let _played = call.play(vec![1u8; 32_000]);
    let disconnect = call.disconnect(Disconnect::new().request_id("r-1"));
    stream.find(command).await;
    stream.fail(GrpcStatus::unavailable("gone")).await;
    assert_eq!(notices.next().await.unwrap().unwrap(), Notice::Attached(false));
    let mut stream = gateway.stream().await;
    let Item::Reattach(reattach) = stream.registered().await else { panic!("no reattach") };
    assert_eq!(reattach.session_token, "token-1");
    assert_eq!(reattach.calls[0].call_id, "c-1");
    stream.assign("c-1", 9, AssignedResume::Reattached).await;
    assert_eq!(notices.next().await.unwrap().unwrap(), Notice::Attached(true));
    let again = stream.find(command).await;
    assert_eq!((again.request_id.as_str(), again.handle), ("r-1", 9));
    let audio = stream.find(|item| if let Item::Audio(audio) = item { Some(audio) } else { None }).await;
    assert_eq!(audio.handle, 9);
    stream.done(&again).await;
    disconnect.await.unwrap();
    assert!(errors.lock().unwrap().is_empty());
}

#[tokio::test]
async fn marks_that_were_cleared_just_before_the_stream_was_lost_end() {
    let mut gateway = Gateway::start().await;
    let (builder, mut calls, _, sender) = keeper(&gateway);
    let _worker = start(builder, sender);
    let mut stream = gateway.stream().await;
    stream.registered().await;
    stream.call("c-1", 1).await;
    let call = calls.recv().await.unwrap();
    let _played = call.play(vec![1u8; 16_000]);
    let mark = call.mark("cut");
    stream.find(|item| matches!(item, Item::Mark(_)).then_some(())).await;
    let _clear = call.clear();
    stream.find(|item| matches!(item, Item::ClearPlayback(_)).then_some(())).await;
    stream.fail(GrpcStatus::unavailable("gone")).await;
    let mut stream = gateway.stream().await;
    stream.registered().await;
    stream.assign("c-1", 9, AssignedResume::Reattached).await;
    assert_eq!(mark.await.unwrap(), MarkEnd::Cleared);
}

#[tokio::test]
async fn a_dropped_verb_is_cancelled_and_a_dropped_call_given_back() {
    let mut gateway = Gateway::start().await;
    let (builder, mut calls, _, sender) = keeper(&gateway);
    let _worker = start(builder, sender);
    let mut stream = gateway.stream().await;
    stream.registered().await;
    stream.call("c-1", 1).await;
    let call = calls.recv().await.unwrap();
    let escalation = Escalate::new(EscalationReason::Frustrated).after(After::Now).request_id("r-1");
    drop(call.escalate(escalation));
    assert_eq!(stream.find(command).await.request_id, "r-1");
    let cancel = stream.find(command).await;
    let Some(proto::command::Verb::Cancel(request)) = cancel.verb else { panic!("no cancel") };
    assert_eq!(request.request_id, "r-1");
    drop(call);
    let release = stream.find(command).await;
    assert!(matches!(release.verb, Some(proto::command::Verb::Release(_))));
}

#[tokio::test]
async fn a_handler_that_panics_or_fails_gives_its_call_back_and_the_others_live_on() {
    let mut gateway = Gateway::start().await;
    let (builder, _, errors, _) = keeper(&gateway);
    let worker = builder
        .keep_calls(false)
        .handler(|call| async move {
            match call.id() {
                "panics" => panic!("oh"),
                "fails" => Err("no".into()),
                _ => {
                    call.ended().await;
                    Ok(())
                }
            }
        })
        .unwrap();
    let running = worker.clone();
    tokio::spawn(async move { running.start().await });
    let mut stream = gateway.stream().await;
    stream.registered().await;
    stream.call("lives", 1).await;
    for (handle, call_id) in [(2, "panics"), (3, "fails")] {
        stream.call(call_id, handle).await;
        let release = stream.find(command).await;
        assert_eq!(release.handle, handle);
        assert!(matches!(release.verb, Some(proto::command::Verb::Release(_))));
        stream.done(&release).await;
    }
    let errors = errors.lock().unwrap().clone();
    assert_eq!(errors, ["panics: the handler panicked: oh", "fails: no"]);
    assert_eq!(worker.calls().iter().filter(|call| call.id() == "lives").count(), 1);
}

#[tokio::test]
async fn further_streams_join_as_calls_need_them() {
    let mut gateway = Gateway::start().await;
    let (builder, mut calls, _, sender) = keeper(&gateway);
    let _worker = start(builder.calls_per_stream(2).max_streams(2), sender);
    let mut stream = gateway.stream().await;
    stream.registered().await;
    for handle in 1..=3 {
        stream.call(&format!("c-{handle}"), handle).await;
    }
    let mut second = gateway.stream().await;
    let Item::Join(join) = second.registered().await else { panic!("no join") };
    assert_eq!(join.session_token, "token-1");
    second.call("c-4", 1).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(calls.recv().await.unwrap());
    }
    // Items of a call go on its own stream.
    let fourth = held.iter().find(|call| call.id() == "c-4").unwrap();
    let _played = fourth.play(vec![4u8; 320]);
    let audio = second.find(|item| if let Item::Audio(audio) = item { Some(audio) } else { None }).await;
    assert_eq!(audio.pcm[0], 4);
    // The loss of one moves its calls to the other.
    second.fail(GrpcStatus::unavailable("gone")).await;
    stream.assign("c-4", 4, AssignedResume::Moved).await;
    let mut again = gateway_audio(&mut stream, 4).await;
    assert_eq!(again.pcm.split_off(0)[0], 4);
}

async fn gateway_audio(stream: &mut support::AgentStream, handle: u32) -> proto::AgentAudio {
    stream
        .find(|item| match item {
            Item::Audio(audio) if audio.handle == handle => Some(audio),
            _ => None,
        })
        .await
}

#[tokio::test]
async fn drains_and_says_goodbye() {
    let mut gateway = Gateway::start().await;
    let (builder, mut calls, _, sender) = keeper(&gateway);
    let worker = start(builder, sender);
    let mut stream = gateway.stream().await;
    stream.registered().await;
    stream.call("c-1", 1).await;
    let call = calls.recv().await.unwrap();
    let draining = tokio::spawn({
        let worker = worker.clone();
        async move { worker.drain().await }
    });
    stream.find(|item| matches!(item, Item::Drain(_)).then_some(())).await;
    stream
        .tell(Told::Unassigned(proto::Unassigned {
            handle: 1,
            call_id: "c-1".into(),
            cause: proto::SeatCause::CallEnded as i32,
            end_reason: proto::EndReason::Terminated as i32,
        }))
        .await;
    assert_eq!(call.ended().await.end_reason, Some(EndReason::Terminated));
    stream.find(|item| matches!(item, Item::Bye(_)).then_some(())).await;
    drop(stream);
    draining.await.unwrap().unwrap();
    assert_eq!(call.play(vec![0u8; 2]).await.unwrap_err().reason(), Reason::CallOver);
    assert_eq!(worker.start().await.unwrap_err().reason(), Reason::Closed);
}

#[tokio::test]
async fn what_can_never_work_is_told_at_once_and_typed() {
    let gateway = Gateway::start().await;
    for (status, reason, code) in [
        (GrpcStatus::unauthenticated("who"), Reason::Unauthenticated, Code::Unauthenticated),
        (GrpcStatus::unimplemented("what"), Reason::Transport, Code::Unimplemented),
    ] {
        *gateway.refuse.lock().unwrap() = Some(status);
        let (builder, ..) = keeper(&gateway);
        let worker = builder.handler(|_| async { Ok(()) }).unwrap();
        let error = worker.run().await.unwrap_err();
        assert_eq!((error.reason(), error.code()), (reason, code));
    }
}

#[tokio::test]
async fn a_gateway_that_is_not_there_or_speaks_something_else_is_tried_again() {
    use tokio::io::AsyncWriteExt;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let garbage = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.write_all(b"SSH-2.0-nothing\r\n\r\n").await;
        }
    });
    let mut gateway = Gateway::start().await;
    let (statuses, mut told) = mpsc::unbounded_channel();
    let worker = agent("test")
        .endpoints(["127.0.0.1:1".to_owned(), garbage, gateway.address.clone()])
        .on_status(move |status| drop(statuses.send(status)))
        .handler(|_| async { Ok(()) })
        .unwrap();
    let starting = tokio::spawn({
        let worker = worker.clone();
        async move { worker.start().await }
    });
    let mut stream = gateway.stream().await;
    stream.registered().await;
    starting.await.unwrap().unwrap();
    for _ in 0..2 {
        let Some(Status::Disconnected { error, .. }) = told.recv().await else { panic!("no status") };
        assert_eq!(error.reason(), Reason::Transport, "{error:?}");
    }
    assert!(matches!(told.recv().await, Some(Status::Connected { .. })));
}

#[tokio::test]
async fn an_interceptor_sees_the_stream_and_may_refuse_it() {
    let mut gateway = Gateway::start().await;
    let (builder, _, _, sender) = keeper(&gateway);
    let intercepted = builder.interceptor(|mut request| {
        request.metadata_mut().insert("authorization", "Bearer changed".parse().unwrap());
        Ok(request)
    });
    let _worker = start(intercepted, sender);
    assert_eq!(gateway.stream().await.token.as_deref(), Some("Bearer changed"));
    let refused = client()
        .endpoint(&gateway.address)
        .interceptor(|_| Err(GrpcStatus::permission_denied("no")))
        .connect()
        .unwrap();
    let error = refused.calls().get("c-1").await.unwrap_err();
    assert_eq!(error.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn options_are_checked_at_both_edges() {
    type Set = fn(AgentBuilder, u64) -> AgentBuilder;
    let options: [(&str, Set, u64, u64); 12] = [
        ("capacity", |a, n| a.capacity(n as u32), 1, 1_000),
        ("send_ahead", |a, n| a.send_ahead(Duration::from_millis(n)), 100, 20_000),
        ("max_playback_queued", |a, n| a.max_playback_queued(Duration::from_millis(n)), 100, 3_600_000),
        ("max_audio_queued", |a, n| a.max_audio_queued(Duration::from_millis(n)), 20, 600_000),
        ("max_marks", |a, n| a.max_marks(n as usize), 1, 1_000),
        ("max_events_queued", |a, n| a.max_events_queued(n as usize), 1, 100_000),
        ("max_control_items", |a, n| a.max_control_items(n as usize), 100, 1_000_000),
        ("max_streams", |a, n| a.max_streams(n as usize), 1, 16),
        ("calls_per_stream", |a, n| a.calls_per_stream(n as usize), 1, 1_000),
        ("connect_timeout", |a, n| a.connect_timeout(Duration::from_millis(n)), 100, 600_000),
        ("request_timeout", |a, n| a.request_timeout(Duration::from_millis(n)), 1, 600_000),
        ("keepalive", |a, n| a.keepalive(Duration::from_millis(n)), 10_000, 86_400_000),
    ];
    let make = |builder: AgentBuilder| builder.handler(|_| async { Ok(()) });
    for (name, set, min, max) in options {
        for good in [min, max] {
            make(set(agent("test"), good)).unwrap_or_else(|error| panic!("{name} {good}: {error}"));
        }
        for bad in [min - 1, max + 1] {
            let error = make(set(agent("test"), bad)).err().unwrap_or_else(|| panic!("{name} takes {bad}"));
            assert_eq!(error.reason(), Reason::InvalidField);
            assert_eq!(error.metadata()["field"], name);
        }
    }
    for id in ["", "a b", &"x".repeat(65)] {
        assert_eq!(make(agent(id)).err().unwrap().metadata()["field"], "agent_id");
    }
    for endpoint in ["", "nowhere", "a:1/path", "a:b"] {
        let error = make(agent("test").endpoint(endpoint)).err().unwrap();
        assert_eq!(error.reason(), Reason::InvalidField, "{endpoint}");
    }
}

#[tokio::test]
async fn unary_requests_are_typed_when_nobody_is_there() {
    let client =
        client().endpoint("127.0.0.1:1").request_timeout(Duration::from_millis(400)).connect().unwrap();
    let error = client.calls().get("c-1").await.unwrap_err();
    assert_eq!((error.reason(), error.code()), (Reason::Transport, Code::Unavailable));
    assert!(error.is_retryable());
    client.close();
    assert_eq!(client.calls().get("c-1").await.unwrap_err().reason(), Reason::Closed);
}
