// At a glance: what the last week would have cost on AWS, and how full the machines are. Read when the page is shown, and when asked;
// the machines are measured each minute.

import { all } from "../api.ts";
import { link } from "../route.ts";
import { bytes } from "../time.ts";
import { Loaded, Time, useLoad } from "../ui.tsx";
import { money, prices } from "./prices.ts";
import { costs, lastDays } from "./usage.ts";
import { type Metric, read, used } from "./used.ts";

const WEEK = 7;
/** So old a measurement may be to be the newest. */
const RECENT_S = 600;
const MB = 1 << 20;

interface Host { name: string; at?: number; values: Record<string, number> }

/** The newest measurements of each machine. */
export async function hosts(): Promise<Host[]> {
  const lists = await Promise.all(["CWAgent", "Lakerun/Capacity"].map((Namespace) => all<Metric>("cloudwatch", "ListMetrics", { Namespace, RecentlyActive: "PT3H" }, "Metrics", "NextToken")));
  const metrics = lists.flatMap((list) => list.items).filter((m) => m.Dimensions.length === 1 && m.Dimensions[0]!.Name === "host");
  const now = Math.floor(Date.now() / 1000);
  const values = metrics.length > 0 ? await read(metrics, now - RECENT_S, now + 60, 60, "Maximum") : [];
  const found = new Map<string, Host>();
  metrics.forEach((m, i) => {
    const newest = Math.max(...values[i]!.keys());
    if (!Number.isFinite(newest)) return;
    const name = m.Dimensions[0]!.Value;
    const host = found.get(name) ?? { name, values: {} };
    host.values[m.MetricName] = values[i]!.get(newest)!;
    host.at = Math.max(host.at ?? 0, newest);
    found.set(name, host);
  });
  return [...found.values()].sort((a, b) => a.name.localeCompare(b.name));
}

const FULL = 90;

const Bar = ({ name, share, text, metric }: { name: string; share?: number; text: string; metric: string }) => (share === undefined ? null : (
  <a class="gauge" data-tone={share >= FULL ? "failed" : ""} href={link("metrics", "", { metric, stat: "Average", span: "86400" })}>
    <span>{name}</span>
    <span class="gauge-bar" role="meter" aria-label={name} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(share)}><i style={{ width: `${Math.min(100, share)}%` }} /></span>
    <span>{text}</span>
  </a>
));

function Machine({ host }: { host: Host }) {
  const v = host.values;
  const workers = v.ProcessesMost ? (100 * v.Processes!) / v.ProcessesMost : undefined;
  const promised = v.MemoryMost ? (100 * v.Memory!) / v.MemoryMost : undefined;
  return (
    <div class="gauges" role="group" aria-label={`Capacity of ${host.name}`}>
      <p class="title">{host.name} <span class="quiet">as of <Time at={host.at} /></span></p>
      <Bar name="CPU" share={v.cpu_usage_active} text={`${Math.round(v.cpu_usage_active ?? 0)} %`} metric="CWAgent cpu_usage_active" />
      <Bar name="Memory" share={v.mem_used_percent} text={`${Math.round(v.mem_used_percent ?? 0)} % of ${bytes(v.mem_total)}`} metric="CWAgent mem_used_percent" />
      <Bar name="Disk" share={v.disk_used_percent} text={`${Math.round(v.disk_used_percent ?? 0)} %, ${bytes(v.disk_free)} free`} metric="CWAgent disk_used_percent" />
      <Bar name="Workers" share={workers} text={`${v.Processes} of ${v.ProcessesMost}${v.Waiting ? `, ${v.Waiting} wait` : ""}`} metric="Lakerun/Capacity Processes" />
      <Bar name="Promised" share={promised} text={`${bytes((v.Memory ?? 0) * MB)} of ${bytes((v.MemoryMost ?? 0) * MB)}`} metric="Lakerun/Capacity Memory" />
    </div>
  );
}

export default function Glance() {
  const days = lastDays(WEEK, Date.now() / 1000);
  const spent = useLoad(async () => costs(await used("Service", days), days), []);
  const machines = useLoad(hosts, []);
  return (
    <div class="halves">
      <div class="card">
        <h2><a href={link("costs")}>Costs, last {WEEK} days</a> <span class="quiet">(days of UTC)</span></h2>
        <Loaded of={spent}>{({ total, byDay }) => (
          <>
            <p><b class="total">{money(total)}</b> <span class="quiet">at AWS's list prices of {prices.region}; today {money(byDay[byDay.length - 1]!)}. It costs nothing here.</span></p>
            <div class="bars" role="img" aria-label={`Costs of each day: ${byDay.map(money).join(", ")}`}>{byDay.map((n, i) => <i key={days[i]} title={`${new Date(days[i]! * 1000).toISOString().slice(0, 10)}: ${money(n)}`} style={{ height: `${Math.max(2, (100 * n) / Math.max(...byDay, 1e-12))}%` }} />)}</div>
          </>
        )}</Loaded>
      </div>
      <div class="card">
        <h2>Capacity</h2>
        <Loaded of={machines}>{(found) => (found.length === 0 ? <p class="quiet">No machine has been measured within {RECENT_S / 60} minutes.</p> : <>{found.map((host) => <Machine key={host.name} host={host} />)}</>)}</Loaded>
      </div>
    </div>
  );
}
