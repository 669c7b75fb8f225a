import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { validate } from "dockerfile-utils";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { loadConfig } from "../../gateway/src/config/index.js";
import { ROOT, repositoryFiles, textOf } from "./repository.js";

const files = repositoryFiles();
const DOCKERFILE = textOf("deploy/Dockerfile");
const CONFIGURATION = textOf("docs/configuration.md");
const exists = (path: string) => {
  const bare = path.replace(/^\.\//, "").replace(/\/$/, "");
  return files.some((file) => file === bare || file.startsWith(`${bare}/`));
};

/** What the connectors of the examples take from the environment. */
const SECRETS = {
  TELCOFLOW_API_KEY: "key",
  TELCOFLOW_CONNECTOR_UUID: "uuid",
  TRIAL_CALLER: "+15550101",
  CALLWEAVE_API_KEYS: "agent=a-key-of-24-characters",
};

/** Instructions of the Dockerfile, continued lines joined. */
const instructions = DOCKERFILE.replace(/^#.*\n/gm, "")
  .replace(/\\\n\s*/g, " ")
  .split("\n")
  .filter((line) => line.trim() !== "");

describe("the Dockerfile", () => {
  it("is one", () => {
    expect(validate(DOCKERFILE).map((fault) => fault.message)).toEqual([]);
    expect(validate("FORM node\n").length).toBeGreaterThan(0);
  });

  it("copies what there is, and the builder is given all of it", () => {
    const copied = instructions
      .filter((line) => line.startsWith("COPY ") && !line.includes("--from"))
      .flatMap((line) => line.split(/\s+/).slice(1, -1));
    expect(copied.length).toBeGreaterThan(10);
    expect(copied.filter((path) => !exists(path))).toEqual([]);
    const given = textOf(".dockerignore")
      .split("\n")
      .filter((line) => line.startsWith("!"))
      .map((line) => line.slice(1));
    expect(given.filter((path) => !exists(path))).toEqual([]);
    const missing = copied.filter(
      (path) => !given.some((given) => `${path.replace(/\/$/, "")}/`.startsWith(`${given}/`)),
    );
    expect(missing).toEqual([]);
  });

  it("knows every workspace", () => {
    const { workspaces } = JSON.parse(textOf("package.json")) as { workspaces: string[] };
    for (const workspace of workspaces) {
      expect(DOCKERFILE).toContain(`COPY ${workspace}/package.json ${workspace}/\n`);
    }
  });

  it("runs as nobody special, looks at its health, and takes Node 24 at least", () => {
    const final = instructions.slice(instructions.findLastIndex((line) => line.startsWith("FROM ")));
    const last = (word: string) => final.find((line) => line.startsWith(`${word} `));
    expect(last("USER")).toBe("USER 1000:1000");
    expect(last("HEALTHCHECK")).toContain("/healthz");
    expect(last("STOPSIGNAL")).toBe("STOPSIGNAL SIGTERM");
    expect(final.some((line) => line.startsWith("RUN npm"))).toBe(false);
    expect(DOCKERFILE).toMatch(/^ARG NODE_IMAGE=node:24-/m);
  });

  it("sets variables that the gateway knows", () => {
    const names = [...DOCKERFILE.matchAll(/\b(CALLWEAVE_[A-Z_]+)=/g)].map((match) => match[1] as string);
    expect(names.length).toBeGreaterThan(3);
    expect(names.filter((name) => !CONFIGURATION.includes(`\`${name}\``))).toEqual([]);
  });
});

describe("the bundle of the image", () => {
  let folder = "";
  beforeAll(() => {
    mkdirSync(join(ROOT, ".cache"), { recursive: true });
    folder = mkdtempSync(join(ROOT, ".cache", "image-"));
    symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
    symlinkSync(join(ROOT, "proto"), join(folder, "proto"));
    execFileSync(process.execPath, [join(ROOT, "deploy/bundle.mjs"), folder]);
  }, 60_000);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("needs only packages that are there in production", () => {
    const { dependencies } = JSON.parse(textOf("gateway/package.json")) as {
      dependencies: Record<string, string>;
    };
    const bundle = execFileSync("grep", ["-hE", '^(import|export) .* from "|^import "', bundlePath()], {
      encoding: "utf8",
    });
    const packages = [...bundle.matchAll(/(?:from|import) "([^"./][^"]*)"/g)].map(
      (match) => match[1] as string,
    );
    const names = new Set(
      packages
        .filter((name) => !name.startsWith("node:"))
        .map((name) =>
          name
            .split("/")
            .slice(0, name.startsWith("@") ? 2 : 1)
            .join("/"),
        ),
    );
    expect(names.size).toBeGreaterThan(5);
    expect([...names].filter((name) => !(name in dependencies))).toEqual([]);
  });

  it("serves, and ends with 0 at SIGTERM", async () => {
    const child = spawn(process.execPath, [bundlePath(), "serve"], {
      cwd: folder,
      env: {
        PATH: process.env.PATH,
        CALLWEAVE_STATE_DIR: join(folder, "state"),
        CALLWEAVE_GRPC_PORT: "0",
        CALLWEAVE_OPS_PORT: "0",
      },
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      let output = "";
      const opsPort = await new Promise<number>((resolve, reject) => {
        child.stdout.setEncoding("utf8").on("data", (text: string) => {
          output += text;
          const line = output.split("\n").find((l) => l.includes('"msg":"serving"'));
          if (line) resolve((JSON.parse(line) as { ops_port: number }).ops_port);
        });
        child.once("exit", () => reject(new Error(`ended: ${output}`)));
      });
      expect((await fetch(`http://127.0.0.1:${opsPort}/readyz`)).status).toBe(200);
      const exit = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGTERM");
      expect(await exit).toBe(0);
    } finally {
      child.kill("SIGKILL");
    }
  });

  function bundlePath(): string {
    return join(folder, "gateway/dist/bin/gateway.mjs");
  }
});

interface Service {
  readonly image?: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly healthcheck?: object;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}

describe("deploy/compose.yaml", () => {
  const text = textOf("deploy/compose.yaml");
  const compose = parse(text, { merge: true }) as {
    readonly services: Record<string, Service>;
    readonly volumes: Record<string, unknown>;
  };
  const services = Object.entries(compose.services);
  const gateways = services.filter(([name]) => name.startsWith("gateway-"));

  // Of the Compose specification; a key that is not known there is an error of `docker compose config`.
  const KEYS = new Set(
    "image build init read_only cap_drop security_opt restart stop_grace_period command depends_on environment ports volumes healthcheck".split(
      " ",
    ),
  );

  it("has two gateways, NATS with JetStream, and MongoDB as a replica set", () => {
    expect(gateways.length).toBe(2);
    expect(compose.services.nats?.image).toMatch(/^nats:/);
    expect(compose.services.mongodb?.image).toMatch(/^mongo:/);
    expect(text).toContain('"--replSet"');
    expect(textOf("deploy/compose/nats.conf")).toContain("jetstream {");
    expect(services.flatMap(([, service]) => Object.keys(service)).filter((key) => !KEYS.has(key))).toEqual(
      [],
    );
  });

  it("says what MongoDB's licence is and names the alternative", () => {
    expect(text).toMatch(/SSPL[\s\S]*FerretDB/);
    expect(textOf("docs/operations.md")).toMatch(/SSPL[\s\S]*FerretDB[\s\S]*transactions, change streams/);
  });

  it("mounts files that there are, into volumes that there are", () => {
    for (const [name, { volumes = [] }] of services) {
      for (const volume of volumes) {
        const [source = ""] = volume.split(":");
        if (source.startsWith("./")) expect(exists(join("deploy", source)), volume).toBe(true);
        else expect(Object.keys(compose.volumes), name).toContain(source);
      }
    }
    for (const [, { build }] of gateways) expect(exists(build?.dockerfile ?? "")).toBe(true);
  });

  it("publishes nothing beyond this machine, and no store at all", () => {
    const ports = services.flatMap(([, service]) => service.ports ?? []);
    expect(ports.length).toBe(4);
    expect(ports.filter((port) => !port.startsWith("127.0.0.1:"))).toEqual([]);
    expect(compose.services.nats?.ports ?? compose.services.mongodb?.ports).toBeUndefined();
  });

  it("waits for servers that say how they are", () => {
    for (const [, { depends_on = {} }] of gateways) {
      for (const [name, { condition }] of Object.entries(depends_on)) {
        expect(condition).toBe("service_healthy");
        expect(compose.services[name]?.healthcheck).toBeDefined();
      }
    }
  });

  it("sets variables that are documented or read by its configuration", () => {
    const configuration = textOf("deploy/compose/callweave.yaml");
    for (const [, { environment = {} }] of gateways) {
      const unknown = Object.keys(environment).filter(
        (name) => !CONFIGURATION.includes(`\`${name}\``) && !configuration.includes(`\${${name}}`),
      );
      expect(unknown).toEqual([]);
    }
  });

  it("waits longer for a gateway than its calls may last", () => {
    const config = loadConfig({ file: join(ROOT, "deploy/compose/callweave.yaml"), env: SECRETS });
    const minutes = Number(/stop_grace_period: (\d+)m/.exec(text)?.[1]);
    expect(minutes * 60).toBeGreaterThan(config.serve.drain.maxWaitSeconds);
  });
});

interface Manifest {
  readonly kind: string;
  // biome-ignore lint/suspicious/noExplicitAny: Kubernetes has its own schema
  readonly spec: any;
}

describe("deploy/k8s", () => {
  const manifests = parseAllDocuments(textOf("deploy/k8s/gateway.yaml")).map(
    (document) => document.toJS() as Manifest,
  );
  const spec = (kind: string) => manifests.find((manifest) => manifest.kind === kind)?.spec;
  const pod = spec("StatefulSet")?.template.spec;
  const [container] = pod?.containers ?? [];

  it("has gateways, their service, and a budget of disruptions, for the same pods", () => {
    const labels = spec("StatefulSet").template.metadata.labels;
    expect(spec("StatefulSet").selector.matchLabels).toEqual(labels);
    expect(spec("Service").selector).toEqual(labels);
    expect(spec("PodDisruptionBudget").selector.matchLabels).toEqual(labels);
    expect(spec("PodDisruptionBudget").maxUnavailable).toBe(1);
  });

  it("probes what the gateway answers, at ports that there are", () => {
    const ports = container.ports.map((port: { name: string }) => port.name);
    const probes = [container.startupProbe, container.livenessProbe, container.readinessProbe];
    expect(probes.map((probe) => probe.httpGet.path)).toEqual(["/healthz", "/healthz", "/readyz"]);
    for (const probe of probes) expect(ports).toContain(probe.httpGet.port);
    expect(ports).toContain(spec("Service").ports[0].targetPort);
  });

  it("gives a pod more time to end than its calls may take", () => {
    const config = loadConfig({ file: join(ROOT, "deploy/k8s/callweave.yaml"), env: SECRETS });
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(config.serve.drain.maxWaitSeconds);
  });

  it("runs with few rights", () => {
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000 });
    expect(container.securityContext).toMatchObject({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
    const mounted = container.volumeMounts.map((mount: { name: string }) => mount.name);
    const claims = spec("StatefulSet").volumeClaimTemplates.map(
      (claim: { metadata: { name: string } }) => claim.metadata.name,
    );
    const volumes = pod.volumes.map((volume: { name: string }) => volume.name);
    expect([...volumes, ...claims].sort()).toEqual(mounted.sort());
  });

  it("is put together by kustomize", () => {
    const run = spawnSync("kubectl", ["kustomize", join(ROOT, "deploy/k8s")], { encoding: "utf8" });
    if (run.error) {
      console.log("not put together here: no kubectl; only its files are looked at");
      const { resources, configMapGenerator } = parse(textOf("deploy/k8s/kustomization.yaml"));
      for (const file of [...resources, ...configMapGenerator[0].files]) {
        expect(existsSync(join(ROOT, "deploy/k8s", file)), file).toBe(true);
      }
      return;
    }
    expect(run.status, run.stderr).toBe(0);
    const kinds = parseAllDocuments(run.stdout).map((document) => (document.toJS() as Manifest).kind);
    expect(kinds.sort()).toEqual(["ConfigMap", "PodDisruptionBudget", "Service", "StatefulSet"]);
  });
});

describe(".github/workflows/ci.yaml", () => {
  const text = textOf(".github/workflows/ci.yaml");
  const { jobs } = parse(text) as {
    jobs: Record<string, { steps: { run?: string; uses?: string }[]; "timeout-minutes": number }>;
  };
  const runs = Object.values(jobs).flatMap((job) => job.steps.flatMap((step) => step.run ?? []));

  it("runs what .ci/run runs, and bounds every job", () => {
    expect(runs).toContain(".ci/run");
    for (const job of Object.values(jobs)) expect(job["timeout-minutes"]).toBeLessThanOrEqual(60);
  });

  it("hands the real servers over by variables that the tests read", () => {
    const harness = files
      .filter((file) => file.startsWith("test/harness/") && file.endsWith(".ts"))
      .map(textOf)
      .join("\n");
    for (const name of ["MONGODB_URL", "NATS_SERVER_BIN"]) {
      expect(text).toContain(`${name}:`);
      expect(harness).toContain(`process.env.${name}`);
    }
  });

  it("names tests and files that there are", () => {
    const [vitest = ""] = runs.filter((run) => run.includes("vitest run"));
    const filters = vitest.split("--project integration ")[1]?.trim().split(" ") ?? [];
    expect(filters.length).toBeGreaterThan(1);
    for (const filter of filters) {
      const tests = files.filter(
        (file) => /^test\/integration\/.*\.test\.ts$/.test(file) && file.includes(filter),
      );
      expect(tests, filter).not.toEqual([]);
    }
    const paths = runs.join("\n").match(/\bdeploy\/[\w./-]+/g) ?? [];
    expect(paths.filter((path) => !exists(path))).toEqual([]);
  });
});
