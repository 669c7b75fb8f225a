package dev.callweave;

import java.util.List;

/**
 * A page of contexts.
 *
 * @param contexts newest first, without turns
 * @param nextPageToken of the next page; empty on the last
 * @param partial the store is away, and only what was written since then is here
 */
public record ContextPage(
    List<dev.callweave.v1.CallContext> contexts, String nextPageToken, boolean partial) {}
