package dev.callweave;

/**
 * How an escalation ended.
 *
 * @param outcome how
 * @param durability where the context is safe; null when it was not written, or when nothing was
 *     said about it
 */
public record EscalationResult(EscalationOutcome outcome, Durability durability) {}
