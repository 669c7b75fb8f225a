package dev.callweave;

import java.time.Duration;

/**
 * What an interrupt dropped. Estimates by the clock of the gateway.
 *
 * @param dropped was still in this library or in the gateway
 * @param estimatedUnheard was at the provider and not yet heard
 * @param played heard since the media of the call began; zero when the gateway could not be asked
 */
public record Cleared(Duration dropped, Duration estimatedUnheard, Duration played) {}
