// Alarms: their conditions, states, history and actions.

import type { ComponentChildren } from "preact";
import { all, call } from "../api.ts";
import { dimensionLink, link } from "../route.ts";
import { Arn, Badge, fail, KeyValues, Loaded, Page, say, Table, Time, useLoad } from "../ui.tsx";

interface Alarm {
  AlarmName: string; AlarmArn: string; AlarmDescription?: string; StateValue: string; StateReason?: string; StateUpdatedTimestamp?: number; ActionsEnabled?: boolean; AlarmActions?: string[]; OKActions?: string[]; InsufficientDataActions?: string[];
  Namespace?: string; MetricName?: string; Dimensions?: { Name: string; Value: string }[]; Statistic?: string; ExtendedStatistic?: string; Period?: number; EvaluationPeriods?: number; DatapointsToAlarm?: number; Threshold?: number; ComparisonOperator?: string; TreatMissingData?: string;
  Metrics?: { Id: string; Expression?: string; Label?: string }[]; AlarmRule?: string;
}
interface Event { Timestamp: number; HistoryItemType: string; HistorySummary?: string }

const SIGNS: Record<string, string> = { GreaterThanThreshold: ">", GreaterThanOrEqualToThreshold: "≥", LessThanThreshold: "<", LessThanOrEqualToThreshold: "≤" };

/** What it waits for, in a line. */
function condition(a: Alarm): string {
  if (a.AlarmRule) return a.AlarmRule;
  const of = a.MetricName ? `${a.ExtendedStatistic ?? a.Statistic ?? ""} of ${a.Namespace} ${a.MetricName}` : (a.Metrics ?? []).filter((m) => m.Expression).map((m) => `${m.Label ?? m.Id} = ${m.Expression}`).join(", ");
  return `${of} ${SIGNS[a.ComparisonOperator ?? ""] ?? a.ComparisonOperator ?? ""} ${a.Threshold ?? ""} in ${a.DatapointsToAlarm ?? a.EvaluationPeriods} of ${a.EvaluationPeriods} periods${a.Period ? ` of ${a.Period} s` : ""}`;
}

export default function Alarms({ rest }: { rest: string; params: URLSearchParams }) {
  return rest ? <One name={rest} /> : <List />;
}

const both = (r: { MetricAlarms?: Alarm[]; CompositeAlarms?: Alarm[] }): Alarm[] => [...(r.MetricAlarms ?? []), ...(r.CompositeAlarms ?? [])];
const TYPES = { AlarmTypes: ["MetricAlarm", "CompositeAlarm"] };

function List() {
  const loaded = useLoad(async () => {
    const rows: Alarm[] = [];
    let NextToken: string | undefined;
    do {
      const page: { MetricAlarms?: Alarm[]; CompositeAlarms?: Alarm[]; NextToken?: string } = await call("cloudwatch", "DescribeAlarms", { ...TYPES, MaxRecords: 100, ...(NextToken ? { NextToken } : {}) });
      rows.push(...both(page));
      NextToken = page.NextToken;
    } while (NextToken && rows.length < 2000);
    return rows;
  }, [], ["alarms"]);
  return <Page title="Alarms"><Loaded of={loaded}>{(rows) => <Table rows={rows} label="Alarms" empty="No alarm yet: aws cloudwatch put-metric-alarm or a template makes them." columns={[
    { name: "Alarm", cell: (a) => <a href={link("alarms", a.AlarmName)}>{a.AlarmName}</a>, sort: (a) => a.AlarmName },
    { name: "State", cell: (a) => <Badge status={a.StateValue} />, sort: (a) => a.StateValue }, { name: "Since", cell: (a) => <Time at={a.StateUpdatedTimestamp} />, sort: (a) => a.StateUpdatedTimestamp ?? 0 },
    { name: "Condition", wide: true, cell: condition }, { name: "Why", wide: true, cell: (a) => a.StateReason },
  ]} />}</Loaded></Page>;
}

function One({ name }: { name: string }) {
  const loaded = useLoad(async () => {
    const [found, history] = await Promise.all([
      call<{ MetricAlarms?: Alarm[]; CompositeAlarms?: Alarm[] }>("cloudwatch", "DescribeAlarms", { ...TYPES, AlarmNames: [name] }),
      all<Event>("cloudwatch", "DescribeAlarmHistory", { AlarmName: name, ...TYPES, MaxRecords: 100, ScanBy: "TimestampDescending" }, "AlarmHistoryItems", "NextToken", 300),
    ]);
    const [alarm] = both(found);
    if (!alarm) throw new Error(`There is no alarm ${name}`);
    return { alarm, history: history.items };
  }, [name], ["alarms"]);
  const turn = (on: boolean) => call("cloudwatch", on ? "EnableAlarmActions" : "DisableAlarmActions", { AlarmNames: [name] }).then(() => { say(on ? "Its actions are enabled" : "Its actions are disabled"); loaded.again(); }, fail);
  return (
    <Page title={name} kind="Alarm" up={["Alarms", "#/alarms"]}>
      <Loaded of={loaded}>{({ alarm: a, history }) => (
        <>
          <div class="card"><KeyValues of={[
            ["ARN", <Arn arn={a.AlarmArn} />], ["State", <Badge status={a.StateValue} />], ["Since", <Time at={a.StateUpdatedTimestamp} />], ["Why", a.StateReason], ["Condition", condition(a)], ["Of", (a.Dimensions ?? []).map((d) => { const to = dimensionLink(d.Name, d.Value); return <div key={d.Name}><span class="quiet">{d.Name}</span> {to ? <a href={to}>{d.Value}</a> : d.Value}</div>; })],
            ["Where data is missing", a.TreatMissingData], ["Description", a.AlarmDescription], ...([["On alarm", a.AlarmActions], ["When good again", a.OKActions], ["Without data", a.InsufficientDataActions]] as const).map(([what, arns]): [string, ComponentChildren] => [what, (arns ?? []).length > 0 ? arns!.map((arn) => <div><Arn arn={arn} /></div>) : ""]),
          ]} />
            <p class="row">{a.MetricName ? <a href={link("metrics", "", { metric: `${a.Namespace} ${a.MetricName}`, stat: a.Statistic })}>Its metric as a plot</a> : null}
              <button onClick={() => turn(!a.ActionsEnabled)}>{a.ActionsEnabled ? "Disable its actions" : "Enable its actions"}</button></p></div>
          <h2>History</h2>
          <Table rows={history} label="History" empty="Nothing has happened yet." columns={[{ name: "When", cell: (e) => <Time at={e.Timestamp} /> }, { name: "What", cell: (e) => e.HistoryItemType }, { name: "Summary", wide: true, cell: (e) => e.HistorySummary }]} />
        </>
      )}</Loaded>
    </Page>
  );
}
