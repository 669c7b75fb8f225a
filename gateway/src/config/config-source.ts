import {
  type Document,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type Scalar,
  visit,
} from "yaml";
import type { ConfigProblem } from "./config-error.js";
import { MAX_YAML_DEPTH, tooDeepAt } from "./yaml-depth.js";

/** A place in the configuration. */
export type ConfigPath = readonly (string | number)[];

const REFERENCE = /\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g;

/** The text of a configuration file with places, and references to the environment filled in. */
export class ConfigSource {
  readonly problems: ConfigProblem[] = [];
  /** Plain values; empty sections left out. */
  readonly value: unknown;
  private readonly lines = new LineCounter();
  private readonly root: unknown;

  /** `file` is shown in problems. */
  constructor(
    private readonly file: string,
    text: string,
    env: Readonly<Record<string, string | undefined>>,
  ) {
    const tooDeep = tooDeepAt(text);
    if (tooDeep) {
      const rule = `not YAML for a configuration: nested more than ${MAX_YAML_DEPTH} deep`;
      this.problems.push({ file, ...tooDeep, key: "", rule });
    }
    const document = parseDocument(tooDeep ? "" : text, { lineCounter: this.lines, prettyErrors: false });
    this.root = document.contents;
    for (const { pos, message } of document.errors) {
      this.problems.push({ file, ...this.placeAt(pos[0]), key: "", rule: `not YAML: ${firstLine(message)}` });
    }
    visit(document, {
      Scalar: (key, node, ancestors) => {
        if (key !== "key") this.fillIn(node, pathOf([...ancestors, node]), env);
      },
      Alias: (_key, node, ancestors) => {
        if (node.resolve(document)) return;
        const place = this.placeAt(node.range?.[0] ?? 0);
        const rule = "must be in quotes when it begins with *";
        this.problems.push({ file, ...place, key: pathText(pathOf([...ancestors, node])), rule });
      },
    });
    this.value = this.problems.length > 0 ? {} : this.toPlain(document);
  }

  /** Where a key is written; for one that is not there, the section that it belongs to. */
  place(path: ConfigPath): { readonly line: number; readonly column: number } {
    let node: unknown = this.root;
    let offset = isNode(node) ? node.range?.[0] : undefined;
    for (const step of path) {
      if (isMap(node)) {
        const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(step));
        if (!pair) break;
        offset = (pair.key as Scalar).range?.[0] ?? offset;
        node = pair.value;
      } else if (isSeq(node)) {
        node = node.items[Number(step)];
        if (!isNode(node)) break;
        offset = node.range?.[0] ?? offset;
      } else break;
    }
    return this.placeAt(offset ?? 0);
  }

  private toPlain(document: Document): unknown {
    try {
      return withoutEmpty(document.toJS({ maxAliasCount: 100 }));
    } catch (error) {
      // An alias without its anchor, or too many of them.
      const rule = `not YAML: ${firstLine((error as Error).message)}`;
      this.problems.push({ file: this.file, line: 1, column: 1, key: "", rule });
      return {};
    }
  }

  private placeAt(offset: number): { readonly line: number; readonly column: number } {
    const { line, col } = this.lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }

  private fillIn(node: Scalar, path: ConfigPath, env: Readonly<Record<string, string | undefined>>): void {
    // "+15550100" without quotes is a number to YAML; here it is a phone number.
    if (typeof node.value === "number" && node.source && /^[+0][0-9]/.test(node.source)) {
      node.value = node.source;
    }
    if (typeof node.value !== "string") return;
    node.value = node.value.replace(REFERENCE, (_match, variable: string) => {
      const value = env[variable];
      if (value === undefined || value === "") {
        const place = this.placeAt(node.range?.[0] ?? 0);
        const rule = `the environment variable ${variable} is not set`;
        this.problems.push({ file: this.file, ...place, key: pathText(path), rule });
        return "";
      }
      return value;
    });
  }
}

/** A path as people write it: "pools[0].hold.file". */
export function pathText(path: ConfigPath): string {
  return path.reduce<string>(
    (text, step) => (typeof step === "number" ? `${text}[${step}]` : text === "" ? step : `${text}.${step}`),
    "",
  );
}

/** The path of a node, from its ancestors in the tree. */
function pathOf(nodes: readonly unknown[]): ConfigPath {
  const path: (string | number)[] = [];
  nodes.forEach((node, i) => {
    if (isPair(node)) path.push(isScalar(node.key) ? String(node.key.value) : "?");
    else if (isSeq(node)) path.push(node.items.indexOf(nodes[i + 1]));
  });
  return path;
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "range" in value;
}

/** A key without a value ("routes:") counts as not there. */
function withoutEmpty(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmpty);
  if (typeof value !== "object" || value === null) return value ?? {};
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, v]) => v !== null)
      .map(([key, v]) => [key, withoutEmpty(v)]),
  );
}

/** Without what follows a colon: it may be a piece of the file, and that piece a secret. */
function firstLine(text: string): string {
  return text.split(/[\n:]/)[0] as string;
}
