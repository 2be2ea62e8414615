// Schedules, and rules of the event bus with their targets; patterns are tried against an event.

import { useState } from "preact/hooks";
import { all, call, pool } from "../api.ts";
import { link, setParams } from "../route.ts";
import { ZONE } from "../time.ts";
import { Arn, Badge, fail, KeyValues, Loaded, Page, Table, Tabs, Time, useLoad, Value } from "../ui.tsx";
import { type Figure, LastDay } from "./lastday.tsx";

interface Rule { Name: string; Arn: string; State: string; Description?: string; ScheduleExpression?: string; EventPattern?: string; EventBusName?: string }
interface Schedule { Name: string; GroupName: string; State: string; Target: { Arn: string }; LastModificationDate?: number }
interface Whole { Name: string; Arn: string; ScheduleExpression: string; ScheduleExpressionTimezone?: string; State: string; StartDate?: number; EndDate?: number; Target: { Arn: string; RoleArn?: string; Input?: string }; FlexibleTimeWindow?: { Mode: string; MaximumWindowInMinutes?: number }; Description?: string }

const FIGURES: Figure[] = [["MatchedEvents", "Sum", "events"], ["Invocations", "Sum", "targets called"], ["FailedInvocations", "Sum", "failed"], ["RetryInvocationAttempts", "Sum", "tried again"], ["InvocationsSentToDlq", "Sum", "to dead-letter queues"]];

export default function Rules({ rest, params }: { rest: string; params: URLSearchParams }) {
  const [kind, ...name] = rest.split("/");
  if (kind === "schedule") return <OneSchedule group={name[0] ?? "default"} name={name.slice(1).join("/")} />;
  if (kind === "rule") return <OneRule bus={name[0] ?? "default"} name={name.slice(1).join("/")} />;
  return <List params={params} />;
}

function List({ params }: { params: URLSearchParams }) {
  const tab = params.get("tab") === "Rules" ? "Rules" : "Schedules";
  const loaded = useLoad(async () => {
    const [schedules, buses] = await Promise.all([all<Schedule>("scheduler", "ListSchedules", {}, "Schedules", "NextToken"), all<{ Name: string }>("events", "ListEventBuses", {}, "EventBuses", "NextToken")]);
    const rules = await pool(buses.items, 4, (bus) => all<Rule>("events", "ListRules", { EventBusName: bus.Name }, "Rules", "NextToken").then((r) => r.items));
    return { schedules: schedules.items, rules: rules.flat() };
  }, [], ["events"]);
  return (
    <Page title="Schedules and rules">
      <Tabs names={["Schedules", "Rules"]} now={tab} onPick={(t) => setParams({ tab: t === "Rules" ? t : undefined })} />
      <div role="tabpanel" aria-labelledby={`tab-${tab}`}>
        <Loaded of={loaded}>{({ schedules, rules }) => (tab === "Schedules" ? <Table rows={schedules} label="Schedules" empty="No schedule yet." columns={[
          { name: "Schedule", cell: (s) => <a href={link("rules", `schedule/${s.GroupName}/${s.Name}`)}>{s.Name}</a>, sort: (s) => s.Name },
          { name: "State", cell: (s) => <Badge status={s.State} /> }, { name: "Starts", wide: true, cell: (s) => <Arn arn={s.Target.Arn} /> }, { name: "Changed", cell: (s) => <Time at={s.LastModificationDate} /> },
        ]} /> : <Table rows={rules} label="Rules" empty="No rule yet." columns={[
          { name: "Rule", cell: (r) => <a href={link("rules", `rule/${r.EventBusName ?? "default"}/${r.Name}`)}>{r.Name}</a>, sort: (r) => r.Name },
          { name: "State", cell: (r) => <Badge status={r.State} /> }, { name: "Bus", cell: (r) => r.EventBusName }, { name: "When", wide: true, cell: (r) => r.ScheduleExpression ?? <code>{r.EventPattern}</code> }, { name: "Description", cell: (r) => r.Description },
        ]} />)}</Loaded>
      </div>
    </Page>
  );
}

function OneSchedule({ group, name }: { group: string; name: string }) {
  const loaded = useLoad(() => call<Whole>("scheduler", "GetSchedule", { GroupName: group, Name: name }), [group, name], ["events"]);
  return (
    <Page title={name} kind="Schedule" up={["Schedules", "#/rules"]}>
      <Loaded of={loaded}>{(s) => <div class="card"><KeyValues of={[
        ["ARN", <Arn arn={s.Arn} />], ["State", <Badge status={s.State} />], ["When", s.ScheduleExpression], ["Time zone", s.ScheduleExpressionTimezone], ["From", <Time at={s.StartDate} />], ["Until", <Time at={s.EndDate} />],
        ["Window", s.FlexibleTimeWindow?.Mode === "FLEXIBLE" ? `${s.FlexibleTimeWindow.MaximumWindowInMinutes} min` : "exactly then"], ["Starts", <Arn arn={s.Target.Arn} />], ["As", s.Target.RoleArn ? <Arn arn={s.Target.RoleArn} /> : ""], ["Description", s.Description],
      ]} /><Value title="Input" text={s.Target.Input} /><Times of={s.State} ask={["ListScheduleTimes", { GroupName: group, Name: name }]} zone={s.ScheduleExpressionTimezone} /></div>}</Loaded>
    </Page>
  );
}

function OneRule({ bus, name }: { bus: string; name: string }) {
  const loaded = useLoad(async () => {
    const [rule, { Targets }] = await Promise.all([call<Rule>("events", "DescribeRule", { EventBusName: bus, Name: name }), call<{ Targets: { Id: string; Arn: string; Input?: string }[] }>("events", "ListTargetsByRule", { EventBusName: bus, Rule: name })]);
    return { rule, targets: Targets };
  }, [bus, name], ["events"]);
  const [event, setEvent] = useState('{"id": "1", "source": "my.app", "detail-type": "done", "account": "000000000000", "time": "2024-05-01T00:00:00Z", "region": "us-east-1", "resources": [], "detail": {}}');
  const [matches, setMatches] = useState<boolean>();
  const turn = (on: boolean) => call("events", on ? "EnableRule" : "DisableRule", { EventBusName: bus, Name: name }).then(loaded.again, fail);
  return (
    <Page title={name} kind="Rule" up={["Rules", "#/rules?tab=Rules"]}>
      <Loaded of={loaded}>{({ rule, targets }) => (
        <>
          <div class="card"><KeyValues of={[["ARN", <Arn arn={rule.Arn} />], ["State", <Badge status={rule.State} />], ["When", rule.ScheduleExpression], ["Description", rule.Description]]} /><Value title="Pattern" text={rule.EventPattern} />
            {rule.ScheduleExpression ? <Times of={rule.State} ask={["ListRuleTimes", { EventBusName: bus, Name: name }]} zone="UTC" /> : null}
            <p><button onClick={() => turn(rule.State !== "ENABLED")}>{rule.State === "ENABLED" ? "Disable" : "Enable"}</button></p></div>
          <LastDay namespace="AWS/Events" dimensions={bus === "default" ? { RuleName: name } : { EventBusName: bus, RuleName: name }} figures={FIGURES} />
          <h2>Targets</h2>
          <Table rows={targets} label="Targets" empty="It starts nothing." columns={[{ name: "Id", cell: (t) => t.Id }, { name: "Target", wide: true, cell: (t) => <Arn arn={t.Arn} /> }]} />
          {rule.EventPattern ? <form onSubmit={(e) => { e.preventDefault(); call<{ Result: boolean }>("events", "TestEventPattern", { EventPattern: rule.EventPattern, Event: event }).then((r) => setMatches(r.Result), fail); }}>
            <h2>Try the pattern</h2><label style="display:grid">Event <textarea rows={5} value={event} onInput={(e) => setEvent(e.currentTarget.value)} /></label>
            <p class="row"><button>Try</button>{matches === undefined ? null : <b>{matches ? "It matches." : "It does not match."}</b>}</p>
          </form> : null}
        </>
      )}</Loaded>
    </Page>
  );
}

/** When it starts its target next, as the server reckons it: here and in its own time zone. */
function Times({ of, ask, zone }: { of: string; ask: [string, object]; zone?: string }) {
  const loaded = useLoad(() => call<{ Times: number[] }>("lakerun", ask[0], { ...ask[1], MaxResults: 10 }), [JSON.stringify(ask), of]);
  const own = zone && zone !== ZONE ? new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium", timeZone: zone }) : undefined;
  return (
    <>
      <h2>The next times{of === "ENABLED" ? "" : ", were it enabled"}</h2>
      <Loaded of={loaded}>{({ Times: times }) => (times.length === 0 ? <p class="quiet">It does not come again.</p> : <ol>{times.map((t) => <li><Time at={t} />{own ? <span class="quiet"> · {own.format(t * 1000)} {zone}</span> : null}</li>)}</ol>)}</Loaded>
    </>
  );
}
