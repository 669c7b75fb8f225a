package dev.callweave;

import java.time.Duration;

/**
 * Where the audio of the agent is. Estimates.
 *
 * @param queued waits in this library
 * @param ahead sent to the gateway and not yet heard
 * @param played heard since the media began, as the gateway last told
 */
public record PlaybackStatus(Duration queued, Duration ahead, Duration played) {}
