import { createHash } from "node:crypto";
import type { Peer } from "./roster.js";

/** A gateway that could claim a call. */
export interface Claimant {
  readonly gatewayId: string;
  /** Free places of its own agents in the pool of the call. */
  readonly freePlaces: number;
}

/**
 * The place of a gateway among those that could claim a session, 0 for the first. A rendezvous hash of the session,
 * weighted by free places, so that each session has one first, every gateway finds the same one, and a gateway with
 * twice the free places is first twice as often. Gateways without a free place come last.
 */
export function claimRank(self: Claimant, others: readonly Claimant[], sessionId: string): number {
  const own = score(self, sessionId);
  let rank = 0;
  for (const other of others) {
    const theirs = score(other, sessionId);
    if (theirs > own || (theirs === own && other.gatewayId < self.gatewayId)) rank++;
  }
  return rank;
}

/** The other gateways that could claim a call of the connector for the pool. */
export function claimants(
  peers: readonly Peer[],
  connector: string,
  tenant: string,
  pool: string,
): Claimant[] {
  return peers
    .filter((peer) => !peer.draining && peer.callCount < peer.maxCalls)
    .filter((peer) => peer.connectors.some(({ name, ready }) => name === connector && ready))
    .map((peer) => ({
      gatewayId: peer.gatewayId,
      freePlaces: peer.pools.find((one) => one.tenant === tenant && one.name === pool)?.freePlaces ?? 0,
    }));
}

/** A nobody-free gateway still has its place in the order: behind all with a free place. */
const EPSILON = 1e-9;

function score({ gatewayId, freePlaces }: Claimant, sessionId: string): number {
  const digest = createHash("sha256").update(`${sessionId}\n${gatewayId}`).digest();
  // From above 0 to below 1.
  const uniform = (digest.readUInt32BE(0) + 0.5) / 2 ** 32;
  const weight = freePlaces > 0 ? freePlaces : EPSILON;
  return weight / -Math.log(uniform);
}
