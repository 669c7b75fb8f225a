use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;

use crate::convert::from_ms;
use crate::queue::lock;
use crate::types::{AudioChunk, AudioData, AudioGap, GapReason};

/// Gaps have no length in the queue; this bounds their number.
const MAX_CHUNKS: usize = 10_000;

struct State {
    chunks: VecDeque<(AudioChunk, f64)>,
    queued_ms: f64,
    ended: bool,
    wake: Option<Waker>,
}

/// The audio of a call that nobody has read yet. Bounded in time: full, the oldest audio is dropped and told as one gap
/// before what follows it.
#[derive(Clone)]
pub(crate) struct AudioQueue {
    state: Arc<Mutex<State>>,
    max_ms: f64,
}

impl AudioQueue {
    pub(crate) fn new(max: Duration) -> Self {
        let state = State { chunks: VecDeque::new(), queued_ms: 0.0, ended: false, wake: None };
        Self { state: Arc::new(Mutex::new(state)), max_ms: max.as_secs_f64() * 1_000.0 }
    }

    pub(crate) fn push(&self, chunk: AudioChunk, ms: f64) {
        let mut state = lock(&self.state);
        if state.ended {
            return;
        }
        state.chunks.push_back((chunk, ms));
        state.queued_ms += ms;
        if state.queued_ms > self.max_ms || state.chunks.len() > MAX_CHUNKS {
            self.drop_oldest(&mut state);
        }
        if let Some(wake) = state.wake.take() {
            wake.wake();
        }
    }

    /// No more audio comes; what is queued can still be read.
    pub(crate) fn end(&self) {
        let mut state = lock(&self.state);
        state.ended = true;
        if let Some(wake) = state.wake.take() {
            wake.wake();
        }
    }

    pub(crate) fn reader(&self) -> Audio {
        Audio { queue: self.clone() }
    }

    fn drop_oldest(&self, state: &mut State) {
        let mut missing = Duration::ZERO;
        let mut first = None;
        // One place is needed for the gap itself.
        while state.queued_ms > self.max_ms || state.chunks.len() + 1 > MAX_CHUNKS {
            let Some((chunk, ms)) = state.chunks.pop_front() else { break };
            state.queued_ms -= ms;
            let (length, begin) = match &chunk {
                AudioChunk::Audio(audio) => (from_ms(ms), (audio.position, audio.at)),
                AudioChunk::Gap(gap) => (gap.duration, (gap.position, gap.at)),
            };
            missing += length;
            first.get_or_insert(begin);
        }
        if let Some((position, at)) = first {
            let reason = GapReason::LocalQueueFull;
            let gap = AudioGap { duration: missing, reason, position, at };
            state.chunks.push_front((AudioChunk::Gap(gap), 0.0));
        }
    }
}

/// The caller's audio. Several readers share it: each chunk goes to one of them. Dropping it loses nothing: a later one
/// goes on there.
pub struct Audio {
    queue: AudioQueue,
}

impl Audio {
    /// The next chunk; `None` when the call is over for this agent.
    pub async fn next(&mut self) -> Option<AudioChunk> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Audio that waits to be read.
    pub fn queued(&self) -> Duration {
        from_ms(lock(&self.queue.state).queued_ms)
    }
}

impl Stream for Audio {
    type Item = AudioChunk;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<AudioChunk>> {
        let mut state = lock(&self.queue.state);
        if let Some((chunk, ms)) = state.chunks.pop_front() {
            state.queued_ms -= ms;
            return Poll::Ready(Some(chunk));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        if let Some(before) = state.wake.replace(cx.waker().clone())
            && !before.will_wake(cx.waker())
        {
            // Another reader: it looks again and waits in turn.
            before.wake();
        }
        Poll::Pending
    }
}

/// A chunk of `pcm` at a position.
pub(crate) fn audio(pcm: bytes::Bytes, position: u64, at: Duration) -> AudioChunk {
    AudioChunk::Audio(AudioData { pcm, position, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(n: u64) -> AudioChunk {
        audio(vec![0u8; 320].into(), n * 160, Duration::from_millis(n * 10))
    }

    #[tokio::test]
    async fn keeps_the_newest_audio_and_tells_the_gap_first() {
        let queue = AudioQueue::new(Duration::from_millis(50));
        for n in 0..5 {
            queue.push(chunk(n), 10.0);
        }
        let mut reader = queue.reader();
        assert_eq!(reader.queued(), Duration::from_millis(50));
        queue.push(chunk(5), 10.0);
        queue.push(chunk(6), 10.0);
        let AudioChunk::Gap(gap) = reader.next().await.unwrap() else { panic!("no gap") };
        assert_eq!(gap.reason, GapReason::LocalQueueFull);
        assert_eq!((gap.duration, gap.position), (Duration::from_millis(20), 0));
        let positions: Vec<_> =
            [reader.next().await, reader.next().await].map(|c| c.unwrap().at().as_millis()).into();
        assert_eq!(positions, [20, 30]);
        queue.end();
        queue.push(chunk(7), 10.0);
        let mut left = 0;
        while reader.next().await.is_some() {
            left += 1;
        }
        assert_eq!(left, 3);
    }

    #[tokio::test]
    async fn bounds_the_number_of_gaps_too() {
        let queue = AudioQueue::new(Duration::from_secs(2));
        for n in 0..20_000u64 {
            let gap = AudioGap {
                duration: Duration::from_millis(1),
                reason: GapReason::Provider,
                position: n,
                at: Duration::ZERO,
            };
            queue.push(AudioChunk::Gap(gap), 0.0);
        }
        assert!(lock(&queue.state).chunks.len() <= MAX_CHUNKS);
        let mut reader = queue.reader();
        let AudioChunk::Gap(gap) = reader.next().await.unwrap() else { panic!("no gap") };
        assert_eq!(gap.reason, GapReason::LocalQueueFull);
        assert_eq!(gap.duration, Duration::from_millis(10_001));
    }

    #[tokio::test]
    async fn wakes_a_waiting_reader_and_both_of_two() {
        let queue = AudioQueue::new(Duration::from_secs(2));
        let mut one = queue.reader();
        let mut two = queue.reader();
        let waiting = tokio::spawn(async move { one.next().await });
        let also = tokio::spawn(async move { two.next().await });
        tokio::task::yield_now().await;
        queue.push(chunk(0), 10.0);
        queue.end();
        let heard = [waiting.await.unwrap(), also.await.unwrap()];
        assert_eq!(heard.iter().flatten().count(), 1);
    }
}
