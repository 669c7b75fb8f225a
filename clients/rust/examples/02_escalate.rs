// Says an announcement, then hands the caller to a human; if nobody is there, says so and ends the call.
use callweave::*;

async fn hand_over(call: Call) -> Result<(), BoxError> {
    call.append_turns(vec![Turn::ai("I connect you with a colleague.")]).await?;
    call.play(std::fs::read("announcement.raw")?).await?;
    // One command: the context is saved while the announcement plays, then the callee rings, then the agent leaves.
    let escalation = Escalate::new(EscalationReason::AskedForHuman)
        .summary("The caller asked for a person about an invoice.")
        .data("topic", "invoice")
        .to_callee(30);
    let result = call.escalate(escalation).await?;
    println!("{}: {}", call.id(), result.outcome);
    if matches!(result.outcome, EscalationOutcome::Connected | EscalationOutcome::CallerLeft) {
        return Ok(());
    }
    // Not connected: the agent still has the call, and the context says so.
    call.play(std::fs::read("nobody.raw")?).await?;
    call.disconnect(Disconnect::new().after(After::Drained)).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let worker = agent("escalation").capacity(10).sample_rate(16_000).handler(hand_over)?;
    worker.drain_on_signals();
    worker.run().await
}
