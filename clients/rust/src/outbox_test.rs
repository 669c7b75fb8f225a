use std::sync::atomic::AtomicUsize;

use super::*;
use crate::proto::{AgentAudio, Heartbeat};

/// A call with so many items of audio.
struct Call {
    handle: u32,
    left: AtomicUsize,
    bytes: usize,
}

impl Call {
    fn new(handle: u32, left: usize, bytes: usize) -> Arc<Self> {
        Arc::new(Self { handle, left: left.into(), bytes })
    }
}

impl Source for Call {
    fn next_urgent(&self, _: u64) -> Option<Item> {
        None
    }

    fn next_item(&self, _: u64) -> Option<Item> {
        let taken = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        taken.ok()?;
        Some(Item::Audio(AgentAudio { handle: self.handle, pcm: vec![0; self.bytes].into() }))
    }

    fn has_playback(&self) -> bool {
        self.left.load(Ordering::Relaxed) > 0
    }
}

fn heartbeat() -> Item {
    Item::Heartbeat(Heartbeat { load: 0.5 })
}

/// Handles of audio, 0 for control.
fn names(items: &[AgentItem]) -> Vec<u32> {
    let name = |item: &AgentItem| match &item.item {
        Some(Item::Audio(audio)) => audio.handle,
        _ => 0,
    };
    items.iter().map(name).collect()
}

async fn next<S: Source>(messages: &mut Messages<S>) -> Option<Vec<AgentItem>> {
    let message = std::future::poll_fn(|cx| Pin::new(&mut *messages).poll_next(cx)).await;
    message.map(|message| message.items)
}

#[tokio::test]
async fn merges_what_is_ready_control_first_then_the_calls_in_turn() {
    let outbox = Outbox::new(100, MAX_MESSAGE_BYTES);
    outbox.bind(1, Call::new(1, 2, 320));
    outbox.bind(2, Call::new(2, 3, 320));
    outbox.send(heartbeat());
    outbox.send(heartbeat());
    let mut messages = Messages::new(outbox);
    let got = names(&next(&mut messages).await.unwrap());
    assert_eq!(got.len(), 7);
    assert_eq!(got[..2], [0, 0]);
    let mut first = got[2..4].to_vec();
    first.sort();
    assert_eq!(first, [1, 2]);
    assert_eq!(got[6], 2);
}

#[tokio::test]
async fn caps_items_and_bytes_of_a_message() {
    let outbox = Outbox::new(100, MAX_MESSAGE_BYTES);
    outbox.bind(1, Call::new(1, 700, 320));
    let mut messages = Messages::new(outbox);
    let mut counts = Vec::new();
    for _ in 0..3 {
        counts.push(next(&mut messages).await.unwrap().len());
    }
    assert_eq!(counts, [256, 256, 188]);

    let outbox = Outbox::new(100, MAX_MESSAGE_BYTES);
    outbox.bind(1, Call::new(1, 200, 4_800));
    let mut messages = Messages::new(outbox);
    let mut total = 0;
    while total < 200 {
        let items = next(&mut messages).await.unwrap();
        assert!(ServeRequest { items: items.clone() }.encoded_len() <= MAX_MESSAGE_BYTES);
        total += items.len();
    }
    assert_eq!(total, 200);
}

#[tokio::test]
async fn a_single_larger_item_goes_alone() {
    let outbox = Outbox::<Call>::new(100, 64);
    let large =
        |text: &str| Item::Decline(crate::proto::Decline { offer_id: text.repeat(100), reason: "".into() });
    outbox.send(large("a"));
    outbox.send(large("b"));
    let mut messages = Messages::new(outbox);
    assert_eq!(next(&mut messages).await.unwrap().len(), 1);
    assert_eq!(next(&mut messages).await.unwrap().len(), 1);
}

#[tokio::test]
async fn looks_again_for_audio_that_waits_for_its_time() {
    struct Later(Instant, AtomicBool);
    impl Source for Later {
        fn next_urgent(&self, _: u64) -> Option<Item> {
            None
        }
        fn next_item(&self, _: u64) -> Option<Item> {
            (Instant::now() >= self.0 && !self.1.swap(true, Ordering::Relaxed)).then(heartbeat)
        }
        fn has_playback(&self) -> bool {
            !self.1.load(Ordering::Relaxed)
        }
    }
    let outbox = Outbox::new(100, MAX_MESSAGE_BYTES);
    outbox.bind(1, Arc::new(Later(Instant::now() + Duration::from_millis(20), false.into())));
    let mut messages = Messages::new(outbox);
    assert_eq!(next(&mut messages).await.unwrap().len(), 1);
}

#[tokio::test]
async fn gives_up_when_nobody_takes_the_control_items() {
    let outbox = Outbox::<Call>::new(3, MAX_MESSAGE_BYTES);
    for _ in 0..4 {
        outbox.send(heartbeat());
    }
    outbox.broken.notified().await;
    assert!(next(&mut Messages::new(outbox)).await.is_none());
}

#[tokio::test]
async fn ends_behind_what_is_queued() {
    let outbox = Outbox::<Call>::new(10, MAX_MESSAGE_BYTES);
    outbox.send(heartbeat());
    outbox.end(Some(Item::Bye(crate::proto::Bye {})));
    outbox.send(heartbeat());
    let mut messages = Messages::new(outbox);
    assert_eq!(next(&mut messages).await.unwrap().len(), 2);
    assert!(next(&mut messages).await.is_none());
}
