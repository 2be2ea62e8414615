// Executions of an Express machine, as its log tells them: nothing else is kept of them.

import { useMemo } from "preact/hooks";
import { described, executions, groupOf, lines, MOST } from "../execution/express.ts";
import { link, setParams } from "../route.ts";
import { count } from "../time.ts";
import { Loaded, Table, useLoad } from "../ui.tsx";
import type { Described } from "./machine.tsx";
import { figures, type Run, runColumns } from "./runs.tsx";
import { duration } from "../time.ts";

const SPANS: [string, string][] = [["900", "15 minutes"], ["3600", "1 hour"], ["86400", "1 day"]];

/** What a level leaves out of the log. Source: Developer Guide, "Log levels for Step Functions execution events". */
const LEFT_OUT: Record<string, string> = { ERROR: "Its log has errors only (level ERROR): executions that succeed are not in it.", FATAL: "Its log has fatal errors only (level FATAL): executions that succeed are not in it." };

export function Express({ of, params }: { of: Described; params: URLSearchParams }) {
  const group = groupOf(of);
  const span = params.get("span") ?? "3600";
  const loaded = useLoad(async () => {
    if (!group) return undefined;
    const { messages, more } = await lines(group, `{ $.execution_arn = "${of.stateMachineArn.replace(":stateMachine:", ":express:")}:*" }`, Date.now() - Number(span) * 1000);
    const runs = [...executions(messages)].map(([arn, events]): Run => ({ ...described(arn, events, Date.now() / 1000) }));
    return { runs: runs.sort((a, b) => b.startDate - a.startDate), more };
  }, [group, span], ["logs"]);
  const told = useMemo(() => figures(loaded.value?.runs ?? []), [loaded.value]);
  if (!group) return <p>Of Express executions only their logs are kept, and this machine logs nothing: <code>loggingConfiguration</code> with level ALL shows them here.</p>;
  const level = of.loggingConfiguration?.level ?? "";
  return (
    <>
      <p class="row">
        <label>Of the last <select value={span} onChange={(e) => setParams({ span: e.currentTarget.value })}>{SPANS.map(([value, name]) => <option value={value}>{name}</option>)}</select></label>
        <span class="quiet">{loaded.value ? `${count(loaded.value.runs.length, "execution")}${told.rate === undefined ? "" : ` · ${Math.round(told.rate * 100)} % succeeded`}${told.p50 === undefined ? "" : ` · p50 ${duration(told.p50)} · p95 ${duration(told.p95!)}`} in ` : "in "}<a href={link("logs", "", { group })}>{group}</a></span>
      </p>
      {LEFT_OUT[level] ? <p class="cut" role="status">{LEFT_OUT[level]}</p> : null}
      <Loaded of={loaded}>{(found) => (
        <>
          {found?.more ? <p class="cut" role="status">Made of the first {MOST.toLocaleString()} lines of this time: a shorter one shows all.</p> : null}
          <Table rows={found?.runs ?? []} label="Executions" columns={runColumns(false)} key={(r) => r.executionArn} empty="No execution of this time is in the log." />
        </>
      )}</Loaded>
    </>
  );
}
