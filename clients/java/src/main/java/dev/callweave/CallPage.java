package dev.callweave;

import java.util.List;

/**
 * A page of calls.
 *
 * @param calls newest first
 * @param nextPageToken of the next page; empty on the last
 * @param cursor from which {@code watch} misses nothing after the list was made
 * @param unreachableGateways their calls are missing
 */
public record CallPage(
    List<dev.callweave.v1.Call> calls,
    String nextPageToken,
    String cursor,
    List<String> unreachableGateways) {}
