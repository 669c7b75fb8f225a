package dev.callweave;

import dev.callweave.v1.Register;

/** What a session registers with, and its bounds. Times in milliseconds. */
record SessionConfig(
    Connection.Config connection,
    Register register,
    CallLimits callLimits,
    double connectTimeoutMs,
    /** Negative: the grace of the gateway and 13,000. */
    double reattachTimeoutMs,
    int maxControlItems,
    int maxStreams,
    int callsPerStream) {
  SessionConfig with(Register other) {
    return new SessionConfig(
        connection,
        other,
        callLimits,
        connectTimeoutMs,
        reattachTimeoutMs,
        maxControlItems,
        maxStreams,
        callsPerStream);
  }
}
