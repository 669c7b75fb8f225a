import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A package that a client needs to run, besides npm's. */
export interface ClientDependency {
  readonly name: string;
  /** Where it comes from. */
  readonly registry: "PyPI" | "Go modules" | "Maven Central" | "crates.io";
  readonly license: string;
  /** The folder of the client. */
  readonly user: string;
}

/** As their own manifests say. */
const LICENSES: Readonly<Record<string, string>> = {
  grpcio: "Apache-2.0",
  protobuf: "BSD-3-Clause",
  "typing-extensions": "PSF-2.0",
  "google.golang.org/grpc": "Apache-2.0",
  "google.golang.org/protobuf": "BSD-3-Clause",
  "io.grpc:grpc-netty-shaded": "Apache-2.0, with Netty (Apache-2.0) in it",
  "io.grpc:grpc-protobuf": "Apache-2.0",
  "io.grpc:grpc-stub": "Apache-2.0",
  "com.google.protobuf:protobuf-java": "BSD-3-Clause",
  bytes: "MIT",
  "futures-core": "MIT OR Apache-2.0",
  prost: "Apache-2.0",
  "prost-types": "Apache-2.0",
  tokio: "MIT",
  "tokio-util": "MIT",
  tonic: "MIT",
  "tonic-prost": "MIT",
  tracing: "MIT",
};

/** What the manifests of the clients in Python, Go, Java and Rust name, in that order. Throws when a licence is not known. */
export function clientDependencies(): ClientDependency[] {
  return [
    ...named("PyPI", "clients/python", "pyproject.toml", pythonNames),
    ...named("Go modules", "clients/go", "go.mod", goNames),
    ...named("Maven Central", "clients/java", "pom.xml", javaNames),
    ...named("crates.io", "clients/rust", "Cargo.toml", rustNames),
  ];
}

function named(
  registry: ClientDependency["registry"],
  user: string,
  manifest: string,
  namesIn: (text: string) => string[],
): ClientDependency[] {
  const text = readFileSync(fileURLToPath(new URL(`../${user}/${manifest}`, import.meta.url)), "utf8");
  const names = namesIn(text);
  if (names.length === 0) throw new Error(`${user}/${manifest} names no dependency: look at how it is read`);
  return names.map((name) => {
    const license = LICENSES[name];
    if (!license) throw new Error(`${user}/${manifest}: the licence of ${name} is not in this script`);
    return { name, registry, license, user };
  });
}

function pythonNames(text: string): string[] {
  const list = /^dependencies = \[(.*?)\]/ms.exec(text)?.[1] ?? "";
  return [...list.matchAll(/"([A-Za-z0-9._-]+)/g)].map((match) => match[1] ?? "");
}

function goNames(text: string): string[] {
  const blocks = [...text.matchAll(/^require \((.*?)^\)/gms)].map((match) => match[1] ?? "");
  const lines = blocks.join("\n").split("\n");
  return lines.flatMap((line) => (line.includes("// indirect") ? [] : (/^\s+(\S+) v/.exec(line)?.[1] ?? [])));
}

function javaNames(text: string): string[] {
  const dependencies = /<dependencies>.*?<\/dependencies>/s.exec(text)?.[0] ?? "";
  return [...dependencies.matchAll(/<dependency>(.*?)<\/dependency>/gs)].flatMap(([, one = ""]) => {
    const of = (tag: string) => new RegExp(`<${tag}>([^<]+)<`).exec(one)?.[1];
    return of("scope") === "test" ? [] : `${of("groupId")}:${of("artifactId")}`;
  });
}

function rustNames(text: string): string[] {
  const section = /^\[dependencies\]$(.*?)^\[/ms.exec(text)?.[1] ?? "";
  return [...section.matchAll(/^([a-z0-9_-]+) = /gm)].map((match) => match[1] ?? "");
}
