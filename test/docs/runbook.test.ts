import type { SyntaxNode } from "@lezer/common";
import { parser } from "@prometheus-io/lezer-promql";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { METRICS, type MetricSpec } from "../../gateway/src/ops/metric-catalogue.js";
import { codeBlocks, repositoryFiles, textOf } from "./repository.js";

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

const RUNBOOK = textOf("docs/runbook.md");
const { groups } = parse(textOf("deploy/alerts.yaml")) as { groups: { rules: Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);
const sections = new Map(
  RUNBOOK.split(/^## /m)
    .slice(1)
    .map((section) => [section.slice(0, section.indexOf("\n")), section] as const),
);

/** Labels that Prometheus adds, and metrics that it makes itself. */
const TARGET_LABELS = ["instance", "job"];
const OWN_METRICS: Readonly<Record<string, MetricSpec>> = { up: { type: "gauge", help: "" } };

/** Every node of an expression. */
function nodesOf(
  expr: string,
): { readonly name: string; readonly text: string; readonly node: SyntaxNode }[] {
  const nodes: { name: string; text: string; node: SyntaxNode }[] = [];
  parser.parse(expr).iterate({
    enter: ({ name, from, to, node, type }) => {
      nodes.push({ name: type.isError ? "error" : name, text: expr.slice(from, to), node });
    },
  });
  return nodes;
}

/** What is wrong with an expression, for these metrics. */
function faultsOf(expr: string): string[] {
  const nodes = nodesOf(expr);
  const faults = nodes.filter(({ name }) => name === "error").map(({ text }) => `not PromQL at: ${text}`);
  const labels = new Set(TARGET_LABELS);
  for (const { name, text, node } of nodes) {
    if (name === "VectorSelector") {
      const metric = node.getChild("Identifier");
      const metricName = metric ? expr.slice(metric.from, metric.to) : "";
      const spec = ({ ...METRICS, ...OWN_METRICS } as Record<string, MetricSpec>)[metricName];
      if (!spec) faults.push(`no metric is called ${metricName}`);
      for (const label of spec?.labels ?? []) labels.add(label);
    }
    // Prometheus refuses `number * on (label) vector`; the grammar does not.
    if (
      name === "BinaryExpr" &&
      node.getChild("MatchingModifierClause") &&
      node.getChild("NumberDurationLiteral")
    )
      faults.push(`a number has no labels to match: ${text}`);
  }
  for (const { name, text } of nodes) {
    if (name === "LabelName" && !labels.has(text)) faults.push(`no metric here has the label ${text}`);
  }
  return faults;
}

describe("the rules for Prometheus", () => {
  it("are ten or more, each once, each with severity, summary and a section of the runbook", () => {
    const names = rules.map((rule) => rule.alert);
    expect(names.length).toBeGreaterThanOrEqual(10);
    expect(new Set(names).size).toBe(names.length);
    expect([...sections.keys()]).toEqual(names);
    for (const { alert, labels, annotations, ...rule } of rules) {
      expect(["critical", "warning"], alert).toContain(labels.severity);
      expect(annotations.summary, alert).toBeTruthy();
      expect(annotations.runbook).toBe(`docs/runbook.md#${alert.toLowerCase()}`);
      expect(rule.for ?? "1m", alert).toMatch(/^\d+[sm]$/);
    }
  });

  it.each(rules.map((rule) => [rule.alert, rule] as const))("of %s can be evaluated", (_name, rule) => {
    expect(faultsOf(rule.expr)).toEqual([]);
  });

  it("name label values that the gateway gives", () => {
    const code = repositoryFiles()
      .filter(
        (path) => /^gateway\/src\/(?:call|ops|telephony)\/.*\.ts$/.test(path) && !path.endsWith(".test.ts"),
      )
      .map(textOf)
      .join("\n");
    for (const { expr } of rules) {
      for (const [, values = ""] of expr.matchAll(/(?:=|!=|=~|!~)"([A-Z][A-Z_|]+)"/g)) {
        for (const value of values.split("|")) expect(code, value).toContain(`"${value}"`);
      }
      for (const [, event = ""] of expr.matchAll(/event="([a-z_]+)"/g)) {
        const counter = event.replace(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase());
        expect(textOf("gateway/src/telephony/telcoflow/counters.ts")).toContain(`  ${counter} = 0;`);
      }
    }
  });

  it("would be found wrong", () => {
    expect(faultsOf("sum(callweave_cals) > 1")).toEqual(["no metric is called callweave_cals"]);
    expect(faultsOf("sum by (poool) (callweave_pool_places) > 1")).toEqual([
      "no metric here has the label poool",
    ]);
    expect(faultsOf("callweave_calls > 0.9 * on (instance) callweave_calls_max")).toHaveLength(1);
    expect(faultsOf("sum(callweave_calls")).not.toEqual([]);
  });
});

describe("the runbook", () => {
  it.each(rules.map((rule) => [rule.alert, rule] as const))("says everything of %s", (name, rule) => {
    const section = sections.get(name) ?? "";
    const [fires] = codeBlocks(section, "promql");
    expect(fires?.code.trim()).toBe(rule.expr);
    expect(section).toContain(rule.for ? `**Fires when** for ${rule.for}:` : "**Fires when**:");
    for (const part of ["**The caller hears.**", "**It means.**", "**Type.**", "**Over when.**"]) {
      expect(section).toContain(part);
    }
    expect(codeBlocks(section, "sh").length).toBe(1);
  });

  it("names metrics that there are", () => {
    const named = [RUNBOOK, textOf("docs/operations.md"), textOf("deploy/alerts.yaml")].flatMap((text) => [
      ...text.matchAll(/\b(callweave_[a-z_]+[a-z])\b/g),
    ]);
    const known = (name: string) =>
      name in METRICS || Object.keys(METRICS).some((metric) => metric.startsWith(`${name}_`));
    expect(named.map((match) => match[1] as string).filter((name) => !known(name))).toEqual([]);
  });

  it("types commands of the gateway that there are", () => {
    const program = ["main.ts", "doctor/doctor-command.ts", "webhooks/webhooks-command.ts"]
      .map((file) => textOf(`gateway/src/${file}`))
      .join("\n");
    const lines = codeBlocks(RUNBOOK + textOf("docs/operations.md"), "sh")
      .flatMap(({ code }) => code.split("\n"))
      .filter((line) => line.startsWith("npm run gateway -- "));
    expect(lines.length).toBeGreaterThan(3);
    for (const line of lines) {
      const [command = ""] = line.replace("npm run gateway -- ", "").split(" ");
      expect(program, command).toContain(`.command("${command}")`);
      for (const [flag] of line.split(" #")[0]?.matchAll(/ --[a-z-]+/g) ?? []) {
        if (flag.trim() !== "--") expect(program, flag).toMatch(new RegExp(`"${flag.trim()}[ "]`));
      }
    }
  });
});
