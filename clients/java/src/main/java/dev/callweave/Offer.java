package dev.callweave;

import dev.callweave.v1.CallContext;
import java.time.Duration;

/**
 * A call that an agent may take.
 *
 * @param call the call as it is now
 * @param context its newest turns; null for a new call
 * @param attempt counts the offers of the call from 1
 * @param timeLeft how long it may be answered
 * @param escalationReason set when the call comes by an escalation; otherwise null
 */
public record Offer(
    dev.callweave.v1.Call call,
    CallContext context,
    int attempt,
    Duration timeLeft,
    EscalationReason escalationReason) {}
