// What the last days would have cost at AWS's list prices: by day and service, and by what used it.

import { arnLink, link, setParams } from "../route.ts";
import { count } from "../time.ts";
import { Loaded, Page, Table, useLoad } from "../ui.tsx";
import { money } from "./prices.ts";
import { Prices } from "./pricelist.tsx";
import { costs, kindOf, lastDays, priced, type Series, sum } from "./usage.ts";
import { used } from "./used.ts";

const SPANS = [7, 14];
const day = (at: number): string => new Date(at * 1000).toISOString().slice(0, 10);
/** An amount in its unit. */
function amount(s: { metric: string }, n: number): string {
  const unit = kindOf(s.metric)?.unit ?? "";
  return `${n.toLocaleString(undefined, { maximumFractionDigits: 2 })} ${n === 1 ? unit.replace(/s$/, "") : unit}`;
}

/** The page of what used something. */
function place(s: Series): string | undefined {
  const service = kindOf(s.metric)?.service;
  if (service === "states") return arnLink(s.value);
  if (s.metric === "CrawlerDPUSeconds") return link("jobs", `crawler/${s.value}`);
  return ({ lambda: link("functions", s.value), glue: link("jobs", s.value), dynamodb: link("tables", s.value), sagemaker: link("models", `model/${s.value}`), athena: link("things", `workgroups/${s.value}`) } as Record<string, string>)[service ?? ""];
}

export default function Spent({ params }: { rest: string; params: URLSearchParams }) {
  const span = SPANS.find((n) => String(n) === params.get("days")) ?? SPANS[0]!;
  const days = lastDays(span, Date.now() / 1000);
  const loaded = useLoad(async () => ({ services: await used("Service", days), resources: await used("Resource", days) }), [span]);
  return (
    <Page title="Costs" actions={<>
      <label>Of the last <select value={span} onChange={(e) => setParams({ days: e.currentTarget.value })}>{SPANS.map((n) => <option value={n}>{n} days</option>)}</select></label>
      <button onClick={loaded.again}>Refresh</button>
    </>}>
      <Loaded of={loaded}>{({ services, resources }) => <Sums services={services} resources={resources} days={days} />}</Loaded>
    </Page>
  );
}

function Sums({ services, resources, days }: { services: Series[]; resources: Series[]; days: number[] }) {
  const all = costs(services, days);
  const rows = [...days].reverse().map((at) => ({ at, usd: all.byDay[days.indexOf(at)]! }));
  const kinds = services.filter((s) => sum(s) > 0);
  const most = Math.max(...all.byDay, 1e-12);
  return (
    <>
      <p><b class="total">{money(all.total)}</b> <span class="quiet">is what AWS's list prices make of what ran here in the last {count(days.length, "day")}. It costs nothing here. Days are UTC's.</span></p>
      <h2>By day</h2>
      <Table rows={rows} label="Costs by day" columns={[
        { name: "Day", cell: (r) => <time>{day(r.at)}</time> },
        ...kinds.map((s) => ({ name: kindOf(s.metric)!.name, numeric: true, cell: (r: { at: number }) => { const n = s.days.get(r.at) ?? 0; const cost = priced(s.metric, n); return n === 0 ? "" : <span title={amount(s, n)}>{cost === undefined ? amount(s, n) : money(cost)}</span>; } })),
        { name: "In all", numeric: true, cell: (r) => <b>{money(r.usd)}</b> },
        { name: "Of the dearest", wide: true, cell: (r) => r.usd === 0 ? null : <div class="operator-bar" style={{ width: `${(r.usd / most) * 100}%` }} /> },
      ]} />
      <h2>By what used it</h2>
      <Table rows={resources.filter((s) => sum(s) > 0)} label="Costs by resource" empty="Nothing was used in these days." columns={[
        { name: "Service", cell: (s) => kindOf(s.metric)?.name ?? s.metric, sort: (s) => kindOf(s.metric)?.name ?? s.metric },
        { name: "Resource", wide: true, cell: (s) => { const to = place(s); const name = s.value.split(":").pop()!; return to ? <a href={to}>{name}</a> : name; }, sort: (s) => s.value },
        { name: "Amount", numeric: true, cell: (s) => amount(s, sum(s)), sort: sum },
        { name: "At AWS's price", numeric: true, cell: (s) => { const cost = priced(s.metric, sum(s)); return cost === undefined ? "no price is kept" : money(cost); }, sort: (s) => priced(s.metric, sum(s)) ?? -1 },
      ]} />
      <p class="quiet">Not in it: {all.unpriced.length > 0 ? `${all.unpriced.map((s) => kindOf(s.metric)!.name).join(", ")} (their amounts are shown); ` : ""}Express executions, endpoints, storage, requests of S3 and messages, transfer; what ran before this version, and what ended in the seconds before a server was killed. Free tiers and discounts are not taken off.</p>
      <Prices />
    </>
  );
}
