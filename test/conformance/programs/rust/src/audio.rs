use std::fs::{File, OpenOptions};
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};

use callweave::{AudioChunk, AudioGap, Bytes, Call};
use futures_core::Stream;
use serde_json::json;

use crate::io::{print, report, to_ms};

/// Opens a file to append to; unbuffered.
pub fn append(file: &str) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).open(file)
}

/// Appends a chunk to a file, or reports a gap.
pub fn write(file: &mut File, call: &str, chunk: &AudioChunk) {
    match chunk {
        AudioChunk::Audio(audio) => drop(file.write_all(&audio.pcm)),
        AudioChunk::Gap(gap) => report_gap(call, gap),
    }
}

/// Appends the caller's audio to a file.
pub async fn record(call: Call, file: String) {
    let mut file = match append(&file) {
        Ok(file) => file,
        Err(error) => return report(&error.into(), Some(call.id())),
    };
    let mut audio = call.audio();
    while let Some(chunk) = audio.next().await {
        write(&mut file, call.id(), &chunk);
    }
}

/// Plays back what the caller says. The first `keep_back_ms` are held back once, so that jitter makes no holes.
pub async fn echo(call: Call, keep_back_ms: u64) {
    let format = call.audio_format();
    let keep_back = (keep_back_ms * u64::from(format.sample_rate_hertz) * 2 / 1_000) as usize;
    let mut early = Some(Vec::new());
    let mut audio = call.audio();
    while let Some(chunk) = audio.next().await {
        let pcm = match chunk {
            AudioChunk::Audio(audio) => audio.pcm,
            AudioChunk::Gap(gap) => {
                report_gap(call.id(), &gap);
                continue;
            }
        };
        let pcm = match early.take() {
            None => pcm,
            Some(mut kept) => {
                kept.extend_from_slice(&pcm);
                if kept.len() < keep_back {
                    early = Some(kept);
                    continue;
                }
                kept.into()
            }
        };
        if let Err(error) = call.play(pcm).await {
            if error.reason() != callweave::Reason::CallOver {
                report(&error.into(), Some(call.id()));
            }
            return;
        }
    }
}

fn report_gap(call: &str, gap: &AudioGap) {
    let reason = gap.reason.as_str();
    print(json!({ "event": "gap", "call": call, "gapMs": to_ms(gap.duration), "reason": reason }));
}

/// The pieces of some audio.
pub struct Pieces {
    pub audio: Bytes,
    pub size: usize,
}

impl Stream for Pieces {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.audio.is_empty() {
            return Poll::Ready(None);
        }
        let size = self.size.min(self.audio.len());
        Poll::Ready(Some(self.audio.split_to(size)))
    }
}
