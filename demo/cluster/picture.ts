import { escapeText, px, textWidth } from "../svg-tools.js";
import type { CallEvidence, ClusterEvidence } from "./evidence.js";
import type { ClusterResult } from "./verifier.js";

const FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
const WIDTH = 880;
const LEFT = 148;
const RIGHT = 20;
const TOP = 118;
const ROW_PX = 17;
const BAR_PX = 11;
const INK = "#1f2937";
const MUTED = "#6b7280";
/** One colour for each gateway, in the order of their names. */
const GATEWAYS = ["#1d4ed8", "#b45309", "#15803d", "#7c3aed"];
const AWAY = "#fef3c7";
const HUMAN = "#86b98f";
const DEAD = "#b3261e";

/**
 * A round as a picture: a row for each call, in the colour of the gateway that has it while its caller hears the agent; empty
 * where the caller does not; when the database was away and a gateway died.
 * @returns the text of an SVG file
 */
export function drawCluster(evidence: ClusterEvidence, result: ClusterResult): string {
  const { calls, killed, databaseAway, gateways } = evidence;
  const fromMs = Math.min(...calls.map(({ placedAtMs }) => placedAtMs)) - 300;
  const toMs = Math.max(databaseAway.endMs, ...calls.map(({ endedAtMs }) => endedAtMs)) + 600;
  const x = (ms: number) => LEFT + ((ms - fromMs) / (toMs - fromMs)) * (WIDTH - LEFT - RIGHT);
  const colour = (id: string) => GATEWAYS[gateways.indexOf(id) % GATEWAYS.length] ?? INK;
  const bottom = TOP + calls.length * ROW_PX;
  const height = bottom + 62;
  const parts: string[] = [];
  const text = (
    at: number,
    y: number,
    words: string,
    { size = 11, fill = INK, anchor = "start", weight = 400 } = {},
  ) =>
    parts.push(
      `<text x="${px(at)}" y="${px(y)}" font-size="${size}" fill="${fill}" text-anchor="${anchor}" font-weight="${weight}">${escapeText(words)}</text>`,
    );
  const rect = (from: number, to: number, y: number, h: number, fill: string) =>
    parts.push(
      `<rect x="${px(x(from))}" y="${px(y)}" width="${px(Math.max(1, x(to) - x(from)))}" height="${px(h)}" fill="${fill}"/>`,
    );

  rect(databaseAway.startMs, databaseAway.endMs, TOP - 22, bottom - TOP + 26, AWAY);
  text(x(databaseAway.endMs) - 5, TOP - 9, "MongoDB is dead", { fill: "#92400e", anchor: "end" });
  for (const [row, call] of calls.entries()) {
    const y = TOP + row * ROW_PX;
    text(LEFT - 10, y + BAR_PX - 1, `${call.number}  ${call.agentId}`, { anchor: "end", fill: MUTED });
    for (const { startMs, endMs, owner } of pieces(call, evidence))
      rect(startMs, endMs, y, BAR_PX, colour(owner));
    const connected = evidence.events.find((e) => e.callId === call.callId && e.type === "connected");
    if (connected) rect(connected.atMs, call.endedAtMs, y, BAR_PX, HUMAN);
  }
  const dead = x(killed.atMs);
  parts.push(`<path d="M${px(dead)} ${TOP - 36}V${bottom + 4}" stroke="${DEAD}" stroke-width="1.5"/>`);
  text(dead + 5, TOP - 26, `SIGKILL of ${killed.gatewayId}`, { fill: DEAD, weight: 600 });
  const firstSecond = Math.ceil(fromMs / 1000);
  for (let second = firstSecond; second * 1000 < toMs; second++) {
    const at = x(second * 1000);
    parts.push(`<path d="M${px(at)} ${bottom + 4}v5" stroke="${MUTED}"/>`);
    text(at, bottom + 21, `${second - firstSecond} s`, { anchor: "middle", fill: MUTED, size: 10 });
  }

  const { killToAudioMs: back, claimsByGateway, checks } = result;
  const failed = checks.filter(({ ok }) => !ok).map(({ name }) => name);
  const seconds = (ms: number) => (Number.isFinite(ms) ? `${(ms / 1000).toFixed(1)} s` : "never");
  text(24, 32, `${calls.length} calls, ${gateways.length} gateways, a dead database and a dead gateway`, {
    size: 18,
    weight: 600,
  });
  text(
    24,
    53,
    `Heard again ${seconds(back.p50)} (p50), ${seconds(back.p99)} (p99) after the kill; ${result.contextsOut} of ` +
      `${result.contextsIn} contexts kept; ${failed.length === 0 ? `${checks.length} checks passed` : `failed: ${failed.join(", ")}`}.`,
    { size: 12, fill: MUTED },
  );
  let legend = 24;
  const key = (fill: string, words: string) => {
    parts.push(`<rect x="${px(legend)}" y="${bottom + 38}" width="11" height="11" fill="${fill}"/>`);
    text(legend + 16, bottom + 48, words, { fill: MUTED });
    legend += 34 + textWidth(words, 11);
  };
  for (const id of gateways)
    key(colour(id), `agent heard, call at ${id} (claimed ${claimsByGateway[id] ?? 0})`);
  key(HUMAN, "human");
  key("#ffffff", "else: hold audio or ringing");
  const title = `${calls.length} calls at ${gateways.length} gateways; ${killed.gatewayId} is killed`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${px(height)}" viewBox="0 0 ${WIDTH} ${px(height)}" font-family="${FONT}">`,
    `<title>${escapeText(title)}</title>`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

/** The agent's sound, cut where the call changed its gateway. */
function pieces(call: CallEvidence, { killed }: ClusterEvidence) {
  return call.heardAgent.flatMap(({ startMs, endMs }) => {
    if (call.ownerBefore !== killed.gatewayId) return [{ startMs, endMs, owner: call.ownerBefore }];
    // What was played after the kill and before the takeover is what the provider still had of the dead gateway.
    const owner = startMs < killed.atMs ? call.ownerBefore : call.ownerAfter;
    return [{ startMs, endMs, owner }];
  });
}
