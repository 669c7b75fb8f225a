package dev.callweave;

/**
 * Why this agent does not have a call any more.
 *
 * @param cause why
 * @param reason with {@link EndCause#CALL_ENDED}: why it is over; otherwise null
 */
public record CallEnd(EndCause cause, EndReason reason) {}
