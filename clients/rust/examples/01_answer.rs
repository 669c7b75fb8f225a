// Answers each call, greets, and says back what the caller says.
use callweave::{BoxError, Call, agent};

async fn hello(call: Call) -> Result<(), BoxError> {
    call.play(std::fs::read("greeting.raw")?).await?; // s16le, mono, 16 kHz
    let mut audio = call.audio();
    while let Some(chunk) = audio.next().await {
        if let Some(pcm) = chunk.pcm() {
            call.play(pcm.clone()).await?; // else a gap: audio that will not come
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> callweave::Result<()> {
    let worker = agent("hello").capacity(10).sample_rate(16_000).handler(hello)?;
    worker.drain_on_signals(); // SIGTERM: no new calls, wait for those there are
    worker.run().await
}
