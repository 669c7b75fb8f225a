use super::*;
use crate::Reason;

/// 16 kHz s16le: 32 bytes a millisecond.
const BYTES: usize = 32;
const LIMITS: PlaybackLimits = PlaybackLimits {
    max_queued_ms: 60_000.0,
    send_ahead_ms: 1_000.0,
    max_unconfirmed_ms: 3_000.0,
    max_item_ms: 100.0,
};

fn pcm(ms: usize, fill: u8) -> Bytes {
    vec![fill; ms * BYTES].into()
}

fn queue() -> PlaybackQueue {
    PlaybackQueue::new(LIMITS, BYTES as f64)
}

fn push(queue: &mut PlaybackQueue, ms: usize, fill: u8) {
    queue.push_audio(pcm(ms, fill), None).unwrap();
}

#[derive(Debug, PartialEq)]
enum Taken {
    Ms(usize),
    Mark(u64),
}

/// Sends all that may be sent now.
fn take(queue: &mut PlaybackQueue, now: f64) -> Vec<Taken> {
    let mut taken = Vec::new();
    while let Some(step) = queue.next(now) {
        taken.push(match step {
            Step::Audio(pcm) => Taken::Ms(pcm.len() / BYTES),
            Step::Marker(Marker::Mark(id)) => Taken::Mark(id),
            Step::Marker(Marker::Command(id)) => panic!("{id}"),
        });
    }
    taken
}

fn take_ms(queue: &mut PlaybackQueue, now: f64) -> usize {
    let ms = |step| if let Taken::Ms(ms) = step { ms } else { 0 };
    take(queue, now).into_iter().map(ms).sum()
}

fn progress(played_ms: f64, at_gateway_ms: f64) -> Progress {
    Progress { at_gateway_ms, played_ms }
}

#[test]
fn sends_a_second_ahead_then_as_it_is_heard() {
    let mut queue = queue();
    push(&mut queue, 5_000, 1);
    assert_eq!(take_ms(&mut queue, 0.0), 1_000);
    assert_eq!(take_ms(&mut queue, 500.0), 500);
    assert_eq!(queue.queued_ms(), 3_500.0);
    assert_eq!(queue.ahead_ms(500.0), 1_000.0);
}

#[test]
fn keeps_marks_behind_their_audio() {
    let mut queue = queue();
    queue.push_marker(Marker::Mark(1));
    push(&mut queue, 1_150, 1);
    queue.push_marker(Marker::Mark(2));
    assert_eq!(take(&mut queue, 0.0).first(), Some(&Taken::Mark(1)));
    assert_eq!(take(&mut queue, 0.0), []);
    assert_eq!(take(&mut queue, 200.0), [Taken::Ms(100), Taken::Ms(50), Taken::Mark(2)]);
}

#[test]
fn goes_slower_than_its_clock_when_less_was_heard() {
    let mut queue = queue();
    push(&mut queue, 10_000, 1);
    assert_eq!(take_ms(&mut queue, 0.0), 1_000);
    queue.on_progress(progress(200.0, 800.0), 1_000.0);
    assert_eq!(queue.ahead_ms(1_000.0), 800.0);
    assert_eq!(take_ms(&mut queue, 1_000.0), 200);
}

#[test]
fn stops_without_any_confirmation_before_the_ring_of_the_gateway_can_be_full() {
    let mut queue = queue();
    push(&mut queue, 30_000, 1);
    let sent: usize = (0..400).map(|tick| take_ms(&mut queue, f64::from(tick) * 50.0)).sum();
    assert_eq!(sent, 3_000);
    queue.on_progress(progress(3_000.0, 0.0), 20_000.0);
    assert_eq!(take_ms(&mut queue, 20_000.0), 1_000);
}

#[test]
fn refuses_as_a_whole_what_does_not_fit() {
    let limits = PlaybackLimits { max_queued_ms: 1_000.0, ..LIMITS };
    let mut queue = PlaybackQueue::new(limits, BYTES as f64);
    push(&mut queue, 1_000, 1);
    let error = queue.push_audio(pcm(1, 1), None).unwrap_err();
    assert_eq!(error.reason(), Reason::QueueFull);
    assert_eq!(queue.queued_ms(), 1_000.0);
}

#[test]
fn tells_when_the_last_piece_was_sent() {
    let mut queue = queue();
    let (done, mut receiver) = oneshot::channel();
    queue.push_audio(pcm(1_500, 1), Some(done)).unwrap();
    take(&mut queue, 0.0);
    assert!(receiver.try_recv().is_err());
    take(&mut queue, 500.0);
    assert_eq!(receiver.try_recv().unwrap().unwrap(), PlayEnd::Sent);
}

#[test]
fn sends_again_in_order_what_the_gateway_had_no_room_for() {
    let mut queue = queue();
    for fill in 1..=5 {
        push(&mut queue, 100, fill);
    }
    let mut sent = Vec::new();
    let fills = |queue: &mut PlaybackQueue, now, sent: &mut Vec<u8>| {
        while let Some(step) = queue.next(now) {
            if let Step::Audio(pcm) = step {
                sent.push(pcm[0]);
            }
        }
    };
    fills(&mut queue, 0.0, &mut sent);
    queue.on_full(0.0);
    queue.on_full(0.0);
    assert!(queue.next(RETRY_AFTER_FULL_MS - 1.0).is_none());
    assert!(!queue.is_empty());
    fills(&mut queue, RETRY_AFTER_FULL_MS, &mut sent);
    assert_eq!(sent, [1, 2, 3, 4, 5, 4, 5]);
}

#[test]
fn drops_all_at_clear_and_names_the_markers_that_waited() {
    let mut queue = queue();
    push(&mut queue, 1_000, 1);
    queue.push_marker(Marker::Mark(1));
    push(&mut queue, 2_000, 1);
    queue.push_marker(Marker::Mark(2));
    take(&mut queue, 0.0);
    let (dropped, markers) = queue.clear(0.0, Ok(PlayEnd::Cleared));
    assert_eq!((dropped, markers), (2_000.0, vec![Marker::Mark(2)]));
    assert!(queue.is_empty());
    queue.on_cleared(400.0);
    push(&mut queue, 2_000, 1);
    assert_eq!(take(&mut queue, 0.0).len(), 10);
    queue.on_progress(progress(500.0, 900.0), 0.0);
    assert_eq!(queue.ahead_ms(0.0), 900.0);
}

#[test]
fn after_a_lost_stream_sends_again_what_was_cut_with_its_marks() {
    let mut queue = queue();
    push(&mut queue, 200, 1);
    queue.push_marker(Marker::Mark(1));
    push(&mut queue, 400, 2);
    queue.push_marker(Marker::Mark(2));
    take(&mut queue, 0.0);
    let resumed = queue.on_reattached(progress(300.0, 0.0), 300.0);
    assert_eq!(resumed, Resumed { passed: vec![Marker::Mark(1)], again: vec![Marker::Mark(2)] });
    let again = take(&mut queue, 300.0);
    assert_eq!(again, [Taken::Ms(100), Taken::Ms(100), Taken::Ms(100), Taken::Mark(2)]);
}

#[test]
fn after_a_lost_stream_sends_nothing_again_that_the_gateway_still_has() {
    let mut queue = queue();
    push(&mut queue, 500, 1);
    take(&mut queue, 0.0);
    assert_eq!(queue.on_reattached(progress(0.0, 500.0), 0.0), Resumed::default());
    assert_eq!(take(&mut queue, 0.0), []);
}

#[test]
fn after_a_takeover_sends_again_what_was_not_heard_by_the_own_clock() {
    let mut queue = queue();
    push(&mut queue, 1_000, 1);
    take(&mut queue, 0.0);
    queue.on_taken_over(0.0, 300.0, 700.0);
    assert_eq!(take_ms(&mut queue, 700.0), 300);
}

#[test]
fn loses_and_doubles_nothing_whatever_the_order_of_playing_and_time() {
    for seed in 1..50u64 {
        let mut random = seed;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below + 1
        };
        let mut queue = queue();
        let (mut played, mut sent, mut now) = (Vec::new(), Vec::new(), 0.0);
        let drain = |queue: &mut PlaybackQueue, sent: &mut Vec<u8>, now: f64| {
            while let Some(step) = queue.next(now) {
                if let Step::Audio(pcm) = step {
                    sent.extend_from_slice(&pcm);
                }
            }
            let heard = sent.len() as f64 / BYTES as f64 - queue.ahead_ms(now);
            queue.on_progress(progress(heard.max(0.0), queue.ahead_ms(now)), now);
        };
        for fill in 0..20 {
            if next(2) == 1 {
                let audio = pcm(next(700) as usize, fill);
                played.extend_from_slice(&audio);
                queue.push_audio(audio, None).unwrap();
            } else {
                now += next(900) as f64;
            }
            drain(&mut queue, &mut sent, now);
            assert!(queue.ahead_ms(now) <= 1_100.0);
        }
        while !queue.is_empty() {
            now += 100.0;
            drain(&mut queue, &mut sent, now);
        }
        assert!(sent == played, "seed {seed}");
    }
}
