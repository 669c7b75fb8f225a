import type { Agent, Gateway, Pool } from "@callweave/proto/messages";
import { useEffect, useMemo, useState } from "preact/hooks";
import { api, calls, connection, contexts } from "../app.js";
import { HOURS, type HourValue, perHour, Waits } from "../model/per-hour.js";
import { now, toMs } from "../model/time.js";
import { duration, formats, t } from "../text/index.js";
import { Chip, Empty } from "./parts.js";

const REFRESH_MS = 2_000;

interface Fleet {
  readonly pools: readonly Pool[];
  readonly agents: readonly Agent[];
  readonly gateways: readonly Gateway[];
  readonly unreachable: readonly string[];
}

/** Pools, agents, gateways, and how the day goes. */
export function Supervisor() {
  const [fleet, setFleet] = useState<Fleet>({ pools: [], agents: [], gateways: [], unreachable: [] });
  const waits = useMemo(() => new Waits(api), []);
  useEffect(() => {
    const read = async () => {
      if (connection.status.value !== "live") return;
      const [pools, agents, gateways] = await Promise.all([api.pools(), api.agents(), api.gateways()]);
      setFleet({
        pools: pools.pools,
        agents: agents.agents,
        gateways: gateways.gateways,
        unreachable: [...new Set([...pools.unreachableGateways, ...agents.unreachableGateways])],
      });
      await waits.update(contexts.all(), Date.now());
    };
    const again = () => void read().catch(() => {});
    again();
    const timer = setInterval(again, REFRESH_MS);
    return () => clearInterval(timer);
  }, [waits]);

  const waiting = calls.waiting();
  const longest = waiting[0]?.waitingSinceMs;
  const all = contexts.all();
  const nowMs = Math.floor(now.value / 60_000) * 60_000;
  const recent = all.filter(({ createTime }) => toMs(createTime) > nowMs - HOURS * 3_600_000);
  const counts = perHour(
    recent.map(({ createTime }) => ({ atMs: toMs(createTime), value: 1 })),
    nowMs,
    (values) => values.length,
  );
  const waited = perHour(waits.known.value, nowMs, (values) => Math.max(0, ...values));

  return (
    <section class="supervisor" aria-labelledby="super-title">
      <h2 id="super-title" class="visually-hidden">
        {t("super.title")}
      </h2>
      {fleet.unreachable.length > 0 && (
        <p class="banner warn" role="alert">
          {t("super.unreachable", { names: fleet.unreachable.join(", ") })}
        </p>
      )}
      <dl class="tiles" aria-label={t("super.now")}>
        <Tile label={t("super.liveCalls")} value={String(calls.talking().length + waiting.length)} />
        <Tile
          label={t("super.waitingCalls")}
          value={String(waiting.length)}
          tone={waiting.length > 0 ? "warn" : ""}
        />
        <Tile
          label={t("super.longest")}
          value={longest === undefined ? "–" : duration(now.value - longest)}
        />
        <Tile label={t("super.missedCalls")} value={String(contexts.missed().length)} />
      </dl>
      <div class="charts">
        <Chart title={t("super.perHour")} values={counts} foot={t("super.basis", { count: all.length })} />
        <Chart
          title={t("super.waitPerHour")}
          values={waited}
          foot={t("super.waitBasis", { count: waits.known.value.length })}
          tone="warn"
        />
      </div>
      <Pools pools={fleet.pools} />
      <Agents agents={fleet.agents} />
      <Gateways gateways={fleet.gateways} />
    </section>
  );
}

function Tile({
  label,
  value,
  tone = "",
}: {
  readonly label: string;
  readonly value: string;
  readonly tone?: string;
}) {
  return (
    <div class={`tile card ${tone === "" ? "" : `tone-edge-${tone}`}`}>
      <dt>{label}</dt>
      <dd>{value}</dd>
    </div>
  );
}

/** Bars for 24 hours; the same as a table for those who do not see it. */
function Chart(props: {
  readonly title: string;
  readonly values: readonly HourValue[];
  readonly foot: string;
  readonly tone?: string;
}) {
  const most = Math.max(0, ...props.values.map(({ value }) => value));
  const hour = (fromMs: number) => formats.value.hour.format(fromMs);
  return (
    <figure class="card chart">
      <figcaption>
        {props.title}
        <small>{t("super.most", { value: formats.value.number.format(Math.round(most)) })}</small>
      </figcaption>
      <svg
        viewBox="0 0 240 80"
        preserveAspectRatio="none"
        aria-hidden="true"
        class={`bars tone-${props.tone ?? "accent"}`}
      >
        {props.values.map(({ fromMs, value }, i) => {
          const tall = value === 0 ? 1 : Math.max(3, (value / Math.max(1, most)) * 74);
          return (
            <rect
              key={fromMs}
              x={i * 10 + 1.5}
              y={78 - tall}
              width="7"
              height={tall}
              rx="1.5"
              class={value === 0 ? "zero" : ""}
            />
          );
        })}
      </svg>
      <div class="axis" aria-hidden="true">
        {props.values
          .filter((_, i) => i % 6 === 5)
          .map(({ fromMs }) => (
            <span key={fromMs}>{hour(fromMs)}</span>
          ))}
      </div>
      <small>{props.foot}</small>
      <ul class="visually-hidden">
        {props.values
          .filter(({ value }) => value > 0)
          .map(({ fromMs, value }) => (
            <li key={fromMs}>{t("super.chart.hour", { hour: hour(fromMs), value: Math.round(value) })}</li>
          ))}
      </ul>
    </figure>
  );
}

function Pools({ pools }: { readonly pools: readonly Pool[] }) {
  return (
    <div class="card table">
      <table>
        <caption>{t("super.pools")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("super.pool")}</th>
            <th scope="col" class="right">
              {t("super.agentsCount")}
            </th>
            <th scope="col">{t("super.places")}</th>
            <th scope="col" class="right">
              {t("super.waiting")}
            </th>
          </tr>
        </thead>
        <tbody>
          {pools.map((pool) => (
            <tr key={pool.name}>
              <th scope="row">{pool.name}</th>
              <td class="right">{pool.agentCount}</td>
              <td>
                <Bar
                  share={pool.capacity === 0 ? 0 : pool.busy / pool.capacity}
                  text={`${pool.busy} / ${pool.capacity}`}
                />
              </td>
              <td class="right">{pool.waiting > 0 ? <Chip tone="warn">{pool.waiting}</Chip> : 0}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Agents({ agents }: { readonly agents: readonly Agent[] }) {
  if (agents.length === 0)
    return (
      <div class="card">
        <Empty icon="people">{t("super.noAgents")}</Empty>
      </div>
    );
  return (
    <div class="card table">
      <table>
        <caption>{t("super.agents")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("super.agent")}</th>
            <th scope="col">{t("super.pool")}</th>
            <th scope="col">{t("super.language")}</th>
            <th scope="col">{t("super.version")}</th>
            <th scope="col">{t("super.load")}</th>
            <th scope="col">{t("super.calls")}</th>
          </tr>
        </thead>
        <tbody>
          {agents.map((agent) => (
            <tr key={agent.instanceId}>
              <th scope="row">
                {agent.agentId} {!agent.connected && <Chip tone="warn">{t("super.away")}</Chip>}
                {agent.draining && <Chip>{t("super.draining")}</Chip>}
              </th>
              <td>{agent.pool}</td>
              <td>{agent.labels.language ?? "–"}</td>
              <td>{agent.labels.version ?? "–"}</td>
              <td>
                <Bar share={agent.load} text={`${Math.round(agent.load * 100)} %`} />
              </td>
              <td>
                <Bar
                  share={agent.callIds.length / Math.max(1, agent.capacity)}
                  text={`${agent.callIds.length} / ${agent.capacity}`}
                />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Gateways({ gateways }: { readonly gateways: readonly Gateway[] }) {
  return (
    <div class="card table">
      <table>
        <caption>{t("super.gateways")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("super.gateway")}</th>
            <th scope="col">{t("super.version")}</th>
            <th scope="col" class="right">
              {t("super.calls")}
            </th>
            <th scope="col">{t("super.connectors")}</th>
          </tr>
        </thead>
        <tbody>
          {gateways.map((one) => (
            <tr key={one.gatewayId}>
              <th scope="row">
                {one.gatewayId} {one.draining && <Chip tone="warn">{t("super.draining")}</Chip>}
              </th>
              <td>{one.version}</td>
              <td class="right">{one.callCount}</td>
              <td>
                {one.connectors.map(({ name, ready }) => (
                  <Chip key={name} tone={ready ? "good" : "bad"}>
                    {name}: {ready ? t("super.ready") : t("super.notReady")}
                  </Chip>
                ))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Bar({ share, text }: { readonly share: number; readonly text: string }) {
  return (
    <span class="bar">
      <span class="bar-track" aria-hidden="true">
        <span class="bar-fill" style={{ width: `${Math.round(Math.min(1, share) * 100)}%` }} />
      </span>
      {text}
    </span>
  );
}
