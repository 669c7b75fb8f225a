package dev.callweave;

/**
 * What a verb of an observer answers.
 *
 * @param call the call as it is now
 * @param requestId the id it was given with, for {@code cancel} and repetitions
 * @param pending it waits or runs; the event {@code command_done} tells its end, or the same verb
 *     with this id and {@code waitFor}
 * @param escalation of a finished escalation; otherwise null
 */
public record VerbResult(
    dev.callweave.v1.Call call, String requestId, boolean pending, EscalationResult escalation) {}
