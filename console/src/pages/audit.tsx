// The audit: who called what, what came of it, and which statements decided; as far as a trail of CloudTrail records it.

import { useState } from "preact/hooks";
import { all, call } from "../api.ts";
import { setParams } from "../route.ts";
import { count } from "../time.ts";
import { Badge, Dialog, Loaded, Page, Table, Time, Tree, useLoad } from "../ui.tsx";

interface Event { EventId: string; EventName: string; EventSource: string; EventTime: number; Username?: string; CloudTrailEvent: string }
interface Statement { sid?: string; effect?: string; action?: unknown; resource?: unknown }
interface Record { userIdentity?: { arn?: string; type?: string }; sourceIPAddress?: string; errorCode?: string; errorMessage?: string; requestParameters?: unknown; additionalEventData?: { decision?: string; statements?: Statement[] } }
interface Row extends Event { of: Record }

const SPANS: [string, string][] = [["3600", "1 hour"], ["86400", "1 day"], ["604800", "1 week"], ["7776000", "90 days"]];
const LIMIT = 1000;
/** What the server looks for by itself; it takes one. */
const ATTRIBUTES: [string, string, string][] = [["name", "EventName", "Operation"], ["source", "EventSource", "Service"], ["user", "Username", "User or session"]];

const decided = (s: Statement): string => s.sid ?? `${JSON.stringify(s.action)} on ${JSON.stringify(s.resource)}`;
const outcome = (r: Record): string => (r.additionalEventData?.decision === "Denied" ? "Denied" : r.errorCode ? "Failed" : "OK");

export default function Audit({ params }: { rest: string; params: URLSearchParams }) {
  const [span, denied] = [params.get("span") ?? "86400", params.get("denied") !== null];
  const given = ATTRIBUTES.map(([param]) => params.get(param) ?? "");
  const [typed, setTyped] = useState(given);
  const [open, setOpen] = useState<Row>();
  const trails = useLoad(async () => {
    const { trailList } = await call<{ trailList: { Name: string; TrailARN: string }[] }>("cloudtrail", "DescribeTrails");
    const states = await Promise.all(trailList.map((t) => call<{ IsLogging: boolean }>("cloudtrail", "GetTrailStatus", { Name: t.TrailARN })));
    return { all: trailList, logging: trailList.filter((_, at) => states[at]?.IsLogging) };
  }, []);
  const found = useLoad(async () => {
    const [first] = ATTRIBUTES.flatMap(([, AttributeKey], at) => (given[at] ? [{ AttributeKey, AttributeValue: given[at] }] : []));
    const list = await all<Event>("cloudtrail", "LookupEvents", { StartTime: Date.now() / 1000 - Number(span), EndTime: Date.now() / 1000 + 60, ...(first ? { LookupAttributes: [first] } : {}) }, "Events", "NextToken", LIMIT);
    const rows: Row[] = list.items.map((e) => ({ ...e, of: JSON.parse(e.CloudTrailEvent) as Record }));
    // The server looks for one of them; the others are looked for here.
    const fits = (r: Row) => [r.EventName, r.EventSource, r.Username ?? ""].every((value, at) => !given[at] || value === given[at]) && (!denied || outcome(r.of) === "Denied");
    return { rows: rows.filter(fits), more: list.more };
  }, [span, denied, given.join("\n")]);
  const search = (e: SubmitEvent) => {
    e.preventDefault();
    setParams(Object.fromEntries(ATTRIBUTES.map(([param], at) => [param, typed[at] || undefined])));
  };
  return (
    <Page title="Audit">
      <Loaded of={trails}>{({ all: known, logging }) => (logging.length > 0
        ? <p class="quiet">Recorded by {logging.map((t) => t.Name).join(", ")}.</p>
        : <p class="card">{known.length > 0 ? "No trail logs now: what happens is not recorded." : "Nothing is recorded: there is no trail. Calls are recorded while one logs: make a bucket that lets CloudTrail write, then"} {known.length > 0 ? <code>aws cloudtrail start-logging --name {known[0]!.Name}</code> : <code>aws cloudtrail create-trail --name audit --s3-bucket-name BUCKET</code>}</p>)}</Loaded>
      <form class="row" onSubmit={search}>
        {ATTRIBUTES.map(([param, , name], at) => <label key={param}>{name} <input type="search" value={typed[at]} onInput={(e) => setTyped(typed.map((old, n) => (n === at ? e.currentTarget.value : old)))} /></label>)}
        <label>Of the last <select value={span} onChange={(e) => setParams({ span: e.currentTarget.value })}>{SPANS.map(([value, name]) => <option value={value}>{name}</option>)}</select></label>
        <label><input type="checkbox" checked={denied} onChange={(e) => setParams({ denied: e.currentTarget.checked ? "1" : undefined })} /> Denied only</label>
        <button class="primary">Search</button>
      </form>
      <p />
      <Loaded of={found}>{({ rows, more }) => (
        <>
          <p class="quiet">{count(rows.length, "call")}, newest first{more ? `; of the newest ${LIMIT} that were recorded: say more, or choose a shorter span` : ""}</p>
          <Table rows={rows} label="Calls" key={(r) => r.EventId} empty="No call of this time is like that." columns={[
            { name: "When", cell: (r) => <Time at={r.EventTime} /> },
            { name: "Who", wide: true, cell: (r) => r.of.userIdentity?.arn ?? r.Username },
            { name: "Service", cell: (r) => r.EventSource.replace(/\.amazonaws\.com$/, ""), sort: (r) => r.EventSource },
            { name: "Operation", cell: (r) => <button class="quiet-button" onClick={() => setOpen(r)}>{r.EventName}</button>, sort: (r) => r.EventName },
            { name: "Outcome", cell: (r) => <Badge status={outcome(r.of).toUpperCase()} />, sort: (r) => outcome(r.of) },
            { name: "Why", wide: true, cell: (r) => r.of.errorMessage ?? (r.of.additionalEventData?.statements ?? []).map(decided).join(", ") },
            { name: "From", cell: (r) => r.of.sourceIPAddress },
          ]} />
        </>
      )}</Loaded>
      {open ? <Dialog title={`${open.EventName} of ${open.EventSource}`} onClose={() => setOpen(undefined)}><Tree value={open.of} /></Dialog> : null}
    </Page>
  );
}
