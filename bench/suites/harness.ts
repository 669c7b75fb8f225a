import { pythonVenv } from "../../scripts/python-venv.js";
import type { Child } from "../child.js";
import { goProgram } from "../go-program.js";
import { program, type Start } from "../run.js";
import type { Generator } from "../window.js";

/** The languages whose client libraries there is an agent of the bench for. */
export type ClientLanguage = "typescript" | "go" | "python";

/** What the agent behind the gateway is to be like. */
export interface AgentShape {
  /** On the client library of that language, one chunk of audio at a time. Default: on generated stubs alone. */
  readonly client?: ClientLanguage;
  readonly capacity: number;
  /** Streams, each on its own connection. */
  readonly streams: number;
  /** All streams on one connection. */
  readonly oneConnection?: boolean;
  /** The answers to one message are one message; else each is one of its own. */
  readonly together?: boolean;
  /** As many sessions as calls, each of one call, without handles and heartbeats. */
  readonly simple?: boolean;
  /** File with the authority of the gateway's certificate. Default: no TLS. */
  readonly ca?: string;
}

/** What the agent counted; all but the marks should be 0. */
export interface AgentCounters {
  readonly marksSet: number;
  readonly marksPlayed: number;
  readonly refused: number;
  readonly lastRefusal: string;
  readonly gaps: number;
  readonly oddFrames: number;
}

/** The programs around what is measured. */
export interface Harness {
  /** "go", or "node" where there is no Go: that one limits what is measured from some hundred calls on. */
  readonly kind: "go" | "node";
  generator(start: Start, args?: readonly string[]): Promise<Generator>;
  tcpEcho(start: Start): Promise<Child<{ port: number }>>;
  agent(start: Start, address: string, shape: AgentShape): Promise<Child<unknown>>;
  /** Nothing between generator and agent. */
  webSocketEcho(start: Start, url: string, calls: number): Promise<Child<unknown>>;
  /** A network with that delay each way before a port. */
  delay(start: Start, port: number, ms: number): Promise<Child<{ port: number }>>;
}

/** What is wrong with a harness on purpose, so that it is known to be noticed. Needs Go. */
export interface PlantedFaults {
  /** The load generator's turns are late by so much, in ms. */
  readonly holdUpMs?: number;
  /** The baseline's agent loses each frame of that place. */
  readonly loseEvery?: number;
}

/** The harness of this machine. */
export function harness(faults: PlantedFaults = {}): Harness {
  const binary = goProgram();
  return binary ? goHarness(binary, faults) : NODE_HARNESS;
}

function goHarness(binary: string, faults: PlantedFaults): Harness {
  const late = faults.holdUpMs ? ["--hold-up", `${faults.holdUpMs}ms`] : [];
  const run = <Ready>(start: Start, name: string, ...args: string[]) =>
    start<Ready>({ name, program: binary, args: [name, ...args] });
  return {
    kind: "go",
    generator: (start, args = []) => run(start, "generator", ...late, ...args),
    tcpEcho: (start) => run(start, "tcp-echo"),
    agent: (start, address, { client, capacity, streams, oneConnection, together, simple, ca }) => {
      if (client && (oneConnection || together || simple || ca))
        throw new Error("an agent on a client library has no such form");
      const other = client && clientAgent(start, client, [address, String(capacity), String(streams)]);
      if (other) return other;
      return run(
        start,
        client ? "client-agent" : "agent",
        address,
        ...[
          ...["--capacity", String(capacity), "--streams", String(streams)],
          ...(oneConnection ? ["--one-connection"] : []),
          ...(together ? ["--together"] : []),
          ...(simple ? ["--simple"] : []),
          ...(ca ? ["--tls-ca", ca] : []),
        ],
      );
    },
    webSocketEcho: (start, url, calls) =>
      run(start, "ws-echo", url, String(calls), String(faults.loseEvery ?? 0)),
    delay: (start, port, ms) => run(start, "delay", String(port), String(ms)),
  };
}

/** Undefined for Go, whose agent is in the program of the harness. */
function clientAgent(
  start: Start,
  client: ClientLanguage,
  args: readonly string[],
): Promise<Child<unknown>> | undefined {
  const name = `agent in ${client}`;
  if (client === "typescript") return start({ name, args: ["bench/agents/client-agent.ts", ...args] });
  if (client === "go") return undefined;
  const venv = pythonVenv();
  if (!venv) throw new Error("there is no Python 3.10 or newer with venv");
  return start({ name, program: venv.python, args: ["-u", "bench/agents/client_agent.py", ...args] });
}

const NODE_HARNESS: Harness = {
  kind: "node",
  generator: (start) => start({ name: "load generator", args: program("load-generator") }),
  tcpEcho: (start) => start({ name: "TCP agent", args: program("tcp-agent") }),
  agent(start, address, { client, capacity, streams, oneConnection, together, simple, ca }) {
    const other = client && clientAgent(start, client, [address, String(capacity), String(streams)]);
    if (other) return other;
    if (simple || ca || oneConnection || client) throw new Error("needs Go");
    const args = [address, String(capacity), String(streams), together ? "together" : "each"];
    return start({ name: "agent", args: [...program("echo-agent"), ...args] });
  },
  webSocketEcho: () => Promise.reject(new Error("needs Go")),
  delay: (start, port, ms) =>
    start({ name: "delay", args: [...program("delay-proxy"), String(port), String(ms)] }),
};
