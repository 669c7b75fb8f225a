import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { writeWav } from "../audio/wav.js";
import { ConfigError } from "./config-error.js";
import { defaultStateDir, loadConfig } from "./load-config.js";
import { printConfig } from "./print-config.js";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "config-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Env = Record<string, string | undefined>;
const HOME: Env = { HOME: "/home/user" };
let count = 0;

function load(yaml: string, env: Env = HOME) {
  const file = join(folder, `c${count++}.yaml`);
  writeFileSync(file, yaml);
  return loadConfig({ file, env, cwd: folder, platform: "linux" });
}

function problemsOf(make: () => unknown): string[] {
  try {
    make();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(
      ({ line, column, key, rule }) => `${line}:${column} ${key}${key && ": "}${rule}`,
    );
  }
  return [];
}

/** A reference to the environment. */
const ref = (variable: string) => `$\{${variable}}`;

const connector = (more = "") => `connectors:
  - name: main
    kind: telcoflow
    auth: { api_key: secret-api-key, connector_uuid: abc }
${more}`;

describe("loadConfig", () => {
  it("needs no file: everything has a default", () => {
    const config = loadConfig({ env: HOME, cwd: folder, platform: "linux" });
    expect(config).toMatchObject({
      gateway: {
        grpc: { host: "127.0.0.1", port: 7070, keys: [], reflection: true },
        stateDir: "/home/user/.local/state/callweave",
      },
      connectors: [],
      routes: [],
      playback: { maxSeconds: 30, drainMarginMs: 200 },
      events: { retentionDays: 7 },
      contexts: { retentionDays: 30 },
    });
    expect(config.pools).toEqual([
      {
        name: "default",
        tenant: "default",
        offerTimeoutMs: 2000,
        reattachGraceMs: 2000,
        heartbeatIntervalMs: 500,
        heartbeatMisses: 3,
        onAgentLost: "cut",
        answerOnQueue: false,
        hold: {},
        maxQueueSeconds: 600,
        maxReofferSeconds: 60,
        reofferPauseMs: 1000,
      },
    ]);
  });

  it("takes the example", () => {
    const file = fileURLToPath(new URL("../../../deploy/callweave.example.yaml", import.meta.url));
    const config = loadConfig({
      file,
      cwd: folder,
      env: {
        ...HOME,
        CALLWEAVE_AGENT_KEY: "an-agent-key-of-some-length",
        TELCOFLOW_API_KEY: "an-api-key",
        TELCOFLOW_CONNECTOR_UUID: "an-id",
      },
    });
    expect(config.connectors[0]).toMatchObject({
      sampleRateHz: 24_000,
      auth: { apiKey: "an-api-key", connectorUuid: "an-id" },
      onlyCallers: ["+15550100"],
    });
    expect(config.connectors[0]?.callFlow).toBeUndefined();
    expect(config.routes.map((r) => [r.pool, r.unserved, r.callee])).toEqual([
      ["support", "queue", ["+15550101"]],
      ["default", "connect", ["+15550101"]],
    ]);
    // What the example shows as defaults are the defaults.
    const bare = loadConfig({ env: HOME, cwd: folder });
    for (const part of ["playback", "events", "contexts", "serve"] as const)
      expect(config[part]).toEqual(bare[part]);
    const { keys: _keys, ...grpc } = config.gateway.grpc;
    const { keys: _none, ...bareGrpc } = bare.gateway.grpc;
    expect(grpc).toEqual(bareGrpc);
    expect(config.gateway.limits).toEqual(bare.gateway.limits);
    const pools = config.pools.map(({ name: _name, ...rest }) => rest);
    expect(pools).toEqual([pools[0], pools[0]]);
  });

  it("finds the file by name, by CALLWEAVE_CONFIG, and by its usual name", () => {
    const env = { ...HOME, CALLWEAVE_CONFIG: "other.yaml" };
    writeFileSync(join(folder, "other.yaml"), "events: { retention_days: 2 }");
    expect(loadConfig({ env, cwd: folder }).events.retentionDays).toBe(2);
    const sub = mkdtempSync(join(folder, "sub-"));
    writeFileSync(join(sub, "callweave.yaml"), "events: { retention_days: 3 }\ngateway: { state_dir: data }");
    const config = loadConfig({ env: HOME, cwd: sub });
    expect(config.events.retentionDays).toBe(3);
    expect(config.gateway.stateDir).toBe(join(sub, "data"));
    expect(problemsOf(() => loadConfig({ file: "none.yaml", env: HOME, cwd: folder }))).toEqual([
      "0:0 cannot be read (ENOENT)",
    ]);
  });

  it("passes options of the adapter on, in camelCase", () => {
    const config = load(
      connector(
        "    options: { handshake_timeout_ms: 5, media_hosts: [a.example], reconnect: { min_ms: 1 } }",
      ),
    );
    expect(config.connectors[0]?.options).toEqual({
      handshakeTimeoutMs: 5,
      mediaHosts: ["a.example"],
      reconnect: { minMs: 1 },
    });
  });

  it("takes phone numbers as they are written, quoted or not", () => {
    const config = load(
      `${connector("    only_callers: [+15550100, '+15550102']")}\nroutes:\n  - { caller: +1555*, callee: +15550101 }\n  - callee: ["*", withheld]`,
    );
    expect(config.connectors[0]?.onlyCallers).toEqual(["+15550100", "+15550102"]);
    expect(config.routes[0]).toMatchObject({ caller: ["+1555*"], callee: ["+15550101"] });
    expect(config.routes[1]?.callee).toEqual(["*", "withheld"]);
  });

  it("has a pool default for each tenant", () => {
    const config = load(connector("    tenant: acme\npools:\n  - { name: sales, tenant: acme }"));
    expect(config.pools.map((p) => `${p.tenant}/${p.name}`)).toEqual([
      "acme/sales",
      "default/default",
      "acme/default",
    ]);
  });

  it("treats empty sections as not there", () => {
    expect(load("gateway:\nroutes:\npools:\n").pools.length).toBe(1);
    expect(load("# nothing\n").events.retentionDays).toBe(7);
  });

  it.each<[string, string, string[]]>([
    [
      "a key that does not exist",
      "gateway:\n  grpc:\n    prot: 1\n",
      ["3:5 gateway.grpc.prot: is not known; did you mean port?"],
    ],
    ["a wrong section", "\nconnector: []", ["2:1 connector: is not known; did you mean connectors?"]],
    [
      "a number out of bounds",
      "pools:\n  - name: a\n    offer_timeout_ms: 5\n",
      ["3:5 pools[0].offer_timeout_ms: must be a whole number from 100 to 60000"],
    ],
    [
      "a text for a number",
      "gateway: { grpc: { port: http } }",
      ["1:20 gateway.grpc.port: must be a whole number from 0 to 65535"],
    ],
    [
      "a pattern that is none",
      "contexts: { redaction: { patterns: [{ name: a, pattern: '(' }] } }",
      [
        "1:48 contexts.redaction.patterns[0].pattern: must be a regular expression that does not match an empty text",
      ],
    ],
    [
      "a pattern that matches everywhere",
      "contexts: { redaction: { patterns: [{ name: a, pattern: 'x*' }] } }",
      [
        "1:48 contexts.redaction.patterns[0].pattern: must be a regular expression that does not match an empty text",
      ],
    ],
    [
      "a long pattern",
      `contexts: { redaction: { patterns: [{ name: a, pattern: ${"x".repeat(501)} }] } }`,
      ["1:48 contexts.redaction.patterns[0].pattern: must have at most 500 characters"],
    ],
    ["a list for a section", "gateway: []", ["1:1 gateway: must be a section with keys"]],
    ["no section at all", "- a", ["1:1 must be a section with keys"]],
    ["something missing", "pools:\n  - tenant: a\n", ["2:5 pools[0].name: is missing"]],
    [
      "a wrong choice",
      "pools: [{ name: a, on_agent_lost: wait }]",
      ["1:20 pools[0].on_agent_lost: must be one of cut, finish"],
    ],
    [
      "a wrong rate",
      connector("    sample_rate_hz: 44100"),
      ["5:5 connectors[0].sample_rate_hz: must be 8000, 16000 or 24000"],
    ],
    [
      "a wrong call flow",
      connector("    call_flow: never"),
      ['5:5 connectors[0].call_flow: must be "leave_as_is" or a section with keys'],
    ],
    [
      "an invalid number",
      connector('    only_callers: ["5550100"]'),
      ['5:20 connectors[0].only_callers[0]: must be a number in E.164 ("+15550100")'],
    ],
    [
      "a wrong pattern",
      "routes:\n  - callee: [somebody]",
      [
        '2:14 routes[0].callee[0]: must be a number ("+15550100"), the beginning of one ("+1555*"), "withheld" or "*"',
      ],
    ],
    [
      "wrong hours",
      "routes:\n  - hours: { timezone: Mars, open: [always] }",
      [
        '2:14 routes[0].hours.timezone: must be an IANA time zone ("Europe/Berlin")',
        '2:37 routes[0].hours.open[0]: must be like "Mon-Fri 09:00-17:00" or "Sat,Sun 22:00-02:00"',
      ],
    ],
    [
      "an unknown pool",
      "routes:\n  - pool: sales\npools:\n  - { name: sales, tenant: acme }",
      ["2:5 routes[0].pool: must be a pool of tenant default (default)"],
    ],
    [
      "an unknown connector",
      `${connector()}routes:\n  - connector: other`,
      ["6:5 routes[0].connector: must be one of the connectors (main)"],
    ],
    [
      "an announcement that is missing",
      "routes:\n  - unserved: announce",
      ["2:5 routes[0].unserved: announce needs an announcement"],
    ],
    [
      "names given twice",
      "pools:\n  - name: a\n  - name: a\n  - { name: a, tenant: b }",
      ["3:5 pools[1].name: must not be given twice"],
    ],
    [
      "an open door",
      "gateway:\n  grpc:\n    host: 0.0.0.0\n",
      ["3:5 gateway.grpc.host: must be a loopback address (127.0.0.1, ::1, localhost) unless keys are set"],
    ],
    [
      "a weak key",
      "gateway: { grpc: { keys: [{ name: a, key: short }] } }",
      ["1:38 gateway.grpc.keys[0].key: must have at least 16 characters and no spaces"],
    ],
    [
      "two forms of a key",
      `gateway: { grpc: { keys: [{ name: a, key: k, key_sha256: "${"0".repeat(64)}" }] } }`,
      ["1:27 gateway.grpc.keys[0]: must have exactly one of key, key_file and key_sha256"],
    ],
    [
      "half a credential",
      "connectors: [{ name: a, kind: k, auth: { api_key: x } }]",
      ["1:34 connectors[0].auth: must have either api_key and connector_uuid, or cert_file and key_file"],
    ],
    [
      "a file that is not there",
      "pools: [{ name: a, hold: { file: none.wav } }]",
      ["1:28 pools[0].hold.file: must be a file that can be read (ENOENT)"],
    ],
    [
      "a variable that is not set",
      `gateway:\n  id: ${ref("NOT_SET")}\n`,
      ["2:7 gateway.id: the environment variable NOT_SET is not set"],
    ],
    [
      "an alias that is none",
      "routes: [{ caller: *all }]",
      ["1:20 routes[0].caller: must be in quotes when it begins with *"],
    ],
    ["no YAML", "gateway: {\n  id: [", [expect.stringMatching(/^\d+:\d+ not YAML: /) as unknown as string]],
    ["a key twice", "events: {}\nevents: {}\n", ["2:1 not YAML: Map keys must be unique"]],
  ])("refuses %s, and says where", (_name, yaml, problems) => {
    const found = problemsOf(() => load(yaml));
    expect(found.slice(0, problems.length)).toEqual(problems);
  });

  it("names the file in the message", () => {
    expect(() => load("nothing: 1")).toThrow(/c\d+\.yaml:1:1: nothing: is not known; known here: gateway, /);
  });

  it("allows the open door with a key, and loopback in all its forms", () => {
    const key = "keys: [{ name: a, key: 0123456789abcdef-x }]";
    expect(load(`gateway: { grpc: { host: 0.0.0.0, ${key} } }`).gateway.grpc.host).toBe("0.0.0.0");
    for (const host of ["'::1'", "localhost", "127.0.0.2"]) load(`gateway: { grpc: { host: ${host} } }`);
  });

  it("checks audio files when it starts, not when they are needed", () => {
    writeFileSync(join(folder, "good.wav"), writeWav(new Uint8Array(3200), 8000));
    writeFileSync(join(folder, "bad.wav"), "no audio");
    const config = load(
      "pools: [{ name: a, hold: { file: good.wav } }]\nroutes: [{ pool: a, unserved: announce, announcement: good.wav }]",
    );
    expect(config.pools[0]?.hold.file).toBe(join(folder, "good.wav"));
    expect(config.routes[0]?.announcement).toBe(join(folder, "good.wav"));
    expect(problemsOf(() => load("pools: [{ name: a, hold: { file: bad.wav } }]"))[0]).toMatch(
      /must be a WAV file that can be played: not a WAV file/,
    );
  });
});

describe("loadConfig / nats", () => {
  it("is there when it has a URL, from the file or the environment", () => {
    expect(load("events: {}").nats).toBeUndefined();
    expect(load("nats: { wire: { enabled: false } }").nats).toBeUndefined();
    const config = load("nats: { urls: nats://a:4222, wire: { listen_lease_seconds: 5 } }");
    expect(config.nats).toEqual({
      urls: ["nats://a:4222"],
      pingIntervalMs: 5000,
      replicas: 1,
      eventEncoding: "json",
      wire: {
        enabled: true,
        maxConcurrentRequests: 256,
        maxSessions: 10_000,
        maxAudioPublishers: 1_000,
        listenLeaseSeconds: 5,
        maxListenMs: 2_000,
        listenBundleMs: 60,
      },
    });
    const env = { ...HOME, NATS_URL: "nats://a:4222, tls://b:4222", NATS_USER: "u", NATS_PASSWORD: "secret" };
    expect(load("nats: { urls: [nats://c:1] }", env).nats).toMatchObject({
      urls: ["nats://a:4222", "tls://b:4222"],
      user: "u",
      password: "secret",
    });
  });

  it("refuses what cannot work", () => {
    const problem = (yaml: string) => problemsOf(() => load(yaml)).join("\n");
    expect(problem("nats: { urls: [nats://u:p@a:4222] }")).toMatch(/without user and password/);
    expect(problem("nats: { urls: [http://a] }")).not.toBe("");
    expect(problem("nats: { urls: [nats://a:1], user: u }")).toMatch(/user and password together/);
    expect(problem("nats: { token: t, user: u, password: p }")).toMatch(/at most one of/);
    expect(problem("nats: { token: t, token_file: f }")).toMatch(/both token and token_file/);
    expect(problem("pools: [{ name: a, tenant: _gw }]")).toMatch(/tenant: must not begin with _/);
    expect(problem("nats: { replicas: 2 }")).toMatch(/must be 1, 3 or 5/);
    expect(problem("nats: { credentials_file: none.creds }")).toMatch(/can be read \(ENOENT\)/);
    expect(problem("nats: { tls: { cert_file: a } }")).toMatch(/together/);
  });
});

const NO_RIGHTS = { scopes: [], pools: [], connectors: [] };

describe("loadConfig / environment", () => {
  it("goes over the file", () => {
    const config = load("gateway: { grpc: { port: 1 }, state_dir: x }\nserve:\n", {
      ...HOME,
      CALLWEAVE_GRPC_PORT: "7171",
      CALLWEAVE_STATE_DIR: "/data",
      CALLWEAVE_LOG_LEVEL: "debug",
      CALLWEAVE_API_KEYS: "agent=0123456789abcdef,acme/desk=fedcba9876543210==",
    });
    expect(config.gateway.grpc.port).toBe(7171);
    expect(config.gateway.stateDir).toBe("/data");
    expect(config.serve.logLevel).toBe("debug");
    expect(config.gateway.grpc.keys).toEqual([
      { name: "agent", tenant: "default", key: "0123456789abcdef", ...NO_RIGHTS },
      { name: "desk", tenant: "acme", key: "fedcba9876543210==", ...NO_RIGHTS },
    ]);
    expect(config.pools.map((p) => p.tenant).sort()).toEqual(["acme", "default"]);
  });

  it("is named in problems", () => {
    const env = { ...HOME, CALLWEAVE_GRPC_PORT: "no", CALLWEAVE_API_KEYS: "a=short" };
    expect(() => load("events: {}", env)).toThrow(
      "environment: CALLWEAVE_GRPC_PORT: must be a whole number from 0 to 65535",
    );
    expect(() => load("events: {}", { ...env, CALLWEAVE_GRPC_PORT: "" })).toThrow(
      "environment: CALLWEAVE_API_KEYS: must have at least 16 characters",
    );
    expect(() => load("events: {}", { ...HOME, CALLWEAVE_API_KEYS: "nonsense" })).toThrow(
      "environment: CALLWEAVE_API_KEYS: must be name=key",
    );
    expect(() => loadConfig({ env: { ...HOME, CALLWEAVE_GRPC_HOST: "0.0.0.0" }, cwd: folder })).toThrow(
      "environment: CALLWEAVE_GRPC_HOST: must be a loopback address",
    );
  });

  it("reads secrets from files", () => {
    const file = join(folder, "keys");
    writeFileSync(file, "agent=0123456789abcdef\nother=0123456789abcdeg\n");
    const config = load("events: {}", { ...HOME, CALLWEAVE_API_KEYS_FILE: file });
    expect(config.gateway.grpc.keys.map((k) => k.name)).toEqual(["agent", "other"]);
    expect(() =>
      load("events: {}", { ...HOME, CALLWEAVE_API_KEYS_FILE: file, CALLWEAVE_API_KEYS: "x=y" }),
    ).toThrow(/must not be given together with CALLWEAVE_API_KEYS_FILE/);
    expect(() => load("events: {}", { ...HOME, CALLWEAVE_API_KEYS_FILE: "/none" })).toThrow(
      "environment: CALLWEAVE_API_KEYS_FILE: cannot be read (ENOENT)",
    );
    writeFileSync(join(folder, "api"), "from-a-file\n");
    const connectors = "connectors: [{ name: a, kind: k, auth: { api_key_file: api, connector_uuid: u } }]";
    expect(load(connectors).connectors[0]?.auth).toEqual({ apiKey: "from-a-file", connectorUuid: "u" });
    writeFileSync(join(folder, "key"), "0123456789abcdef-file\n");
    const keys = load("gateway: { grpc: { keys: [{ name: a, key_file: key }] } }").gateway.grpc.keys;
    expect(keys).toEqual([{ name: "a", tenant: "default", key: "0123456789abcdef-file", ...NO_RIGHTS }]);
  });

  it("tells the files that credentials are read from, so that they are watched", () => {
    for (const name of ["w-cert", "w-key", "w-ca", "w-api", "w-pass"]) writeFileSync(join(folder, name), "x");
    const file = join(folder, "watched.yaml");
    writeFileSync(
      file,
      [
        "nats: { urls: ['nats://a:4222'], user: u, password_file: w-pass, tls: { ca_file: w-ca } }",
        "connectors:",
        "  - { name: a, kind: k, auth: { cert_file: w-cert, key_file: w-key, ca_file: w-ca } }",
        "  - { name: b, kind: k, auth: { api_key_file: w-api, connector_uuid: u } }",
      ].join("\n"),
    );
    const told = new Set<string>();
    loadConfig({ file, env: { ...HOME }, onFile: (one) => told.add(one) });
    const names = ["watched.yaml", "w-cert", "w-key", "w-ca", "w-api", "w-pass"];
    expect([...told].sort()).toEqual(names.map((name) => join(folder, name)).sort());
  });

  it("fills in references, also where numbers are wanted", () => {
    const config = load(`gateway: { id: "gw-${ref("NR")}", grpc: { port: "${ref("PORT")}" } }`, {
      ...HOME,
      NR: "7",
      PORT: "7272",
    });
    expect(config.gateway.id).toBe("gw-7");
    expect(config.gateway.grpc.port).toBe(7272);
  });
});

describe("defaultStateDir", () => {
  it.each<[NodeJS.Platform, Env, string]>([
    ["linux", { HOME: "/home/user" }, "/home/user/.local/state/callweave"],
    ["linux", { HOME: "/home/user", XDG_STATE_HOME: "/state" }, "/state/callweave"],
    ["darwin", { HOME: "/Users/user" }, "/Users/user/Library/Application Support/callweave"],
    ["win32", { LOCALAPPDATA: "/local" }, "/local/callweave"],
  ])("%s", (platform, env, expected) => {
    expect(defaultStateDir(env, platform)).toBe(expected);
  });
});

describe("printConfig", () => {
  it("shows everything but secrets, in the shape of the file", () => {
    const config = load(
      `${connector("    options: { access_token: token-value }")}\ngateway: { grpc: { keys: [{ name: a, key: 0123456789abcdef-x }] } }`,
    );
    const printed = printConfig(config);
    expect(printed).not.toMatch(/secret-api-key|0123456789abcdef|token-value/);
    expect(parse(printed)).toMatchObject({
      gateway: { grpc: { port: 7070, keys: [{ name: "a", tenant: "default", key: "***" }] } },
      connectors: [{ auth: { api_key: "***", connector_uuid: "abc" }, sample_rate_hz: 24_000 }],
      pools: [{ name: "default", offer_timeout_ms: 2000 }],
    });
    // The same shape: but for the mask, what is printed can be read again.
    const again = printed
      .replace("api_key: ***", "api_key: x")
      .replace(/\bkey: "?\*\*\*"?/g, "key: 0123456789abcdef-y");
    expect(load(again).pools).toEqual(config.pools);
  });

  it("shows no secret in an error either", () => {
    const secrets = ["hunter2-hunter2-hunter2", "*hunter2-hunter2"];
    for (const secret of secrets) {
      const yaml = `gateway: { grpc: { keys: [{ name: a, key: [${secret}], keys: ${secret} }] } }\nconnectors: [{ name: a, kind: k, auth: { api_key: { x: ${secret} } } }]`;
      const problems = problemsOf(() => load(yaml));
      expect(problems.length).toBeGreaterThan(0);
      expect(problems.join("\n")).not.toContain("hunter2");
    }
  });
});
