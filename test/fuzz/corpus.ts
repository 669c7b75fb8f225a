import { readFileSync } from "node:fs";

/** Real frames; see record.ts. */
interface Corpus {
  readonly control: readonly string[];
  readonly mediaText: readonly string[];
  readonly mediaBinary: readonly Uint8Array[];
  readonly serveRequest: readonly Uint8Array[];
}

function read(): Corpus {
  const raw = JSON.parse(readFileSync(new URL("corpus/frames.json", import.meta.url), "utf8")) as Record<
    keyof Corpus,
    string[]
  >;
  const bytes = (list: readonly string[]) => list.map((one) => Buffer.from(one, "base64"));
  return { ...raw, mediaBinary: bytes(raw.mediaBinary), serveRequest: bytes(raw.serveRequest) };
}

/** Frames as the simulator, the gateway and a client wrote them. */
export const corpus: Corpus = read();
