import { DEFECTS, type Defect } from "./defects.js";
import { type Job, runJobs } from "./parent.js";
import { SOCKETS } from "./sockets/names.js";
import { TARGETS } from "./targets/index.js";

/** Inputs for all targets of a defect's area together. */
const INPUTS = 3_000;
/** In a proof a hang is plain after this. */
const HANG_MS = 8_000;
/** The same over sockets. */
const SOCKET_INPUTS = 1_000;
const SOCKET_HANG_MS = 40_000;
/** Of the twenty. */
const NEEDED = 18;

/** How the proof went. */
export interface Proof {
  readonly ok: boolean;
  readonly seed: number;
  readonly planted: number;
  readonly found: number;
  readonly missed: readonly string[];
}

/** Plants each defect alone and fuzzes the targets of its area until something is found. */
export async function prove(seed: number, processes: number, only: readonly string[]): Promise<Proof> {
  const defects = DEFECTS.filter(({ name }) => only.length === 0 || only.includes(name));
  console.log(`seed ${seed}, ${defects.length} defects, at most ${INPUTS} inputs each`);
  const waiting = [...defects];
  const missed: string[] = [];
  const work = async () => {
    for (let defect = waiting.shift(); defect; defect = waiting.shift())
      if (!(await isFound(defect, seed))) missed.push(defect.name);
  };
  await Promise.all(Array.from({ length: processes }, work));
  const planted = defects.length;
  const found = planted - missed.length;
  console.log(`${found} of ${planted} found`);
  return { ok: planted > 0 && found >= Math.min(NEEDED, planted), seed, planted, found, missed };
}

async function isFound(defect: Defect, seed: number): Promise<boolean> {
  const targets: readonly { readonly name: string; readonly weight: number }[] =
    defect.area === "sockets"
      ? SOCKETS.map(({ name }) => ({ name, weight: 1 }))
      : TARGETS.filter(({ area }) => area === defect.area);
  const weights = targets.reduce((sum, { weight }) => sum + weight, 0);
  const [inputs, hangMs] = defect.area === "sockets" ? [SOCKET_INPUTS, SOCKET_HANG_MS] : [INPUTS, HANG_MS];
  const jobs = targets.map(
    ({ name, weight }): Job => ({ target: name, seed, inputs: Math.ceil((inputs * weight) / weights) }),
  );
  const { file, find, replace } = defect;
  const startMs = performance.now();
  const outcome = await runJobs(jobs, { defect: { file, find, replace }, firstOnly: true, hangMs });
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
  if (outcome.broken) throw new Error(`${defect.name} could not be planted: ${outcome.broken}`);
  const [finding] = outcome.findings;
  const ran = [...outcome.inputs.values()].reduce((sum, n) => sum + n, 0);
  const how = finding ? `${finding.target}: ${finding.why.slice(0, 100)}` : `not found in ${ran} inputs`;
  console.log(
    `${finding ? "found " : "MISSED"} ${seconds.padStart(5)} s  ${defect.name} (${defect.what}): ${how}`,
  );
  return finding !== undefined;
}
