// Logs: any groups, any words, any span of time, in order of time.

import { useState } from "preact/hooks";
import { all, pool, some } from "../api.ts";
import { setParams } from "../route.ts";
import { bytes, count, instant, ZONE, zoned } from "../time.ts";
import { Loaded, Page, Table, useLoad } from "../ui.tsx";

interface Group { logGroupName: string; storedBytes?: number; retentionInDays?: number }
interface Event { timestamp: number; message: string; logStreamName: string; eventId: string }

const SPANS: [string, string][] = [["900", "15 minutes"], ["3600", "1 hour"], ["86400", "1 day"], ["604800", "1 week"]];
/** So many events of a group are read at most; the page says when there are more. */
const LIMIT = 2000;

export default function Logs({ params }: { rest: string; params: URLSearchParams }) {
  const [group, words, span] = [params.get("group") ?? "", params.get("words") ?? "", params.get("span") ?? "3600"];
  const [typed, setTyped] = useState(words);
  const groups = useLoad(() => all<Group>("logs", "DescribeLogGroups", {}, "logGroups").then((r) => r.items), [], []);
  const found = useLoad(async () => {
    const names = (groups.value ?? []).map((g) => g.logGroupName).filter((n) => !group || n === group);
    const startTime = Date.now() - Number(span) * 1000;
    const lists = await pool(names, 6, (logGroupName) =>
      some<Event>("logs", "FilterLogEvents", { logGroupName, startTime, ...(words ? { filterPattern: words } : {}) }, "events", "nextToken", LIMIT).then((r) => ({ ...r, group: logGroupName })));
    return { events: lists.flatMap((l) => l.items.map((e) => ({ ...e, group: l.group }))).sort((a, b) => b.timestamp - a.timestamp), cut: lists.filter((l) => l.more).map((l) => l.group) };
  }, [groups.value, group, words, span]);
  return (
    <Page title="Logs">
      <form class="row" onSubmit={(e) => { e.preventDefault(); if (typed === words) found.again(); else setParams({ words: typed || undefined }); }}>
        <label>Group <select value={group} onChange={(e) => setParams({ group: e.currentTarget.value || undefined })}><option value="">all</option>{(groups.value ?? []).map((g) => <option value={g.logGroupName}>{g.logGroupName} ({bytes(g.storedBytes ?? 0)})</option>)}</select></label>
        <label>Words, as CloudWatch's filter patterns <input type="search" value={typed} onInput={(e) => setTyped(e.currentTarget.value)} /></label>
        <label>Of the last <select value={span} onChange={(e) => setParams({ span: e.currentTarget.value })}>{SPANS.map(([value, name]) => <option value={value}>{name}</option>)}</select></label>
        <button class="primary">Search</button>
      </form>
      <p />
      <Loaded of={found}>{({ events, cut }) => (
        <>
          <p class="quiet">{count(events.length, "event")}, newest first{cut.length > 0 ? `; only the first ${LIMIT} of ${cut.join(", ")}: choose a shorter span` : ""}</p>
          <Table rows={events} label="Log events" key={(e) => e.group + e.eventId} empty={words ? `No event of this time has ${words}.` : "No events of this time."} columns={[
            { name: `Time (${ZONE})`, cell: (e) => <code title={zoned(e.timestamp / 1000)}>{instant(e.timestamp)}</code> },
            { name: "Group", cell: (e) => <button class="quiet-button" onClick={() => setParams({ group: e.group })}>{e.group}</button> },
            { name: "Message", wide: true, cell: (e) => <span class={`mono ${/error|exception|traceback/i.test(e.message) ? "error" : ""}`} style="white-space:pre-wrap">{e.message.trimEnd()}</span> },
          ]} />
        </>
      )}</Loaded>
    </Page>
  );
}
