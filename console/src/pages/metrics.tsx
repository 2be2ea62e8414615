// Metrics: any that CloudWatch has here, plotted.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import { all, call } from "../api.ts";
import { setParams } from "../route.ts";
import { Empty, Failure, Loaded, Loading, Page, useLoad } from "../ui.tsx";
import { ofValues } from "./axis.ts";

interface Metric { Namespace: string; MetricName: string; Dimensions: { Name: string; Value: string }[] }

const SPANS: [string, string, number][] = [["3600", "1 hour", 60], ["86400", "1 day", 300], ["604800", "1 week", 3600]];
const STATS = ["Sum", "Average", "Maximum", "Minimum", "SampleCount", "p50", "p90", "p95", "p99"];
const SHOWN = 8;

const whole = (m: Metric): string => m.Dimensions.map((d) => d.Value).join(", ");
const short = (m: Metric): string => m.Dimensions.map((d) => d.Value.split(":").pop()).join(", ") || "all";

export default function Metrics({ params }: { rest: string; params: URLSearchParams }) {
  const list = useLoad(() => all<Metric>("cloudwatch", "ListMetrics", {}, "Metrics", "NextToken", 5000).then((r) => r.items), []);
  const [span, stat] = [params.get("span") ?? "3600", params.get("stat") ?? "Sum"];
  return (
    <Page title="Metrics">
      <Loaded of={list}>{(metrics) => {
        const kinds = [...new Set(metrics.map((m) => `${m.Namespace} ${m.MetricName}`))].sort();
        const kind = params.get("metric") ?? (kinds.includes("AWS/States ExecutionsStarted") ? "AWS/States ExecutionsStarted" : kinds[0]);
        const series = metrics.filter((m) => `${m.Namespace} ${m.MetricName}` === kind);
        const of = params.get("of") ?? "";
        const chosen = series.filter((m) => !of || whole(m) === of);
        return kinds.length === 0 ? <Empty>No metric yet: runs make them.</Empty> : (
          <>
            <div class="row">
              <label>Metric <select value={kind} onChange={(e) => setParams({ metric: e.currentTarget.value, of: undefined })}>{kinds.map((k) => <option>{k}</option>)}</select></label>
              <label>Of <select value={of} onChange={(e) => setParams({ of: e.currentTarget.value || undefined })}><option value="">all</option>{series.map((m) => <option value={whole(m)}>{short(m)}</option>)}</select></label>
              <label>Statistic <select value={stat} onChange={(e) => setParams({ stat: e.currentTarget.value })}>{STATS.map((s) => <option>{s}</option>)}</select></label>
              <label>Of the last <select value={span} onChange={(e) => setParams({ span: e.currentTarget.value })}>{SPANS.map(([value, name]) => <option value={value}>{name}</option>)}</select></label>
            </div>
            {chosen.length > SHOWN ? <p class="quiet">{SHOWN} of {chosen.length} series: “Of” chooses another one.</p> : null}
            <Plot key={`${kind} ${of} ${stat} ${span}`} metrics={chosen.slice(0, SHOWN)} stat={stat} span={Number(span)} />
          </>
        );
      }}</Loaded>
    </Page>
  );
}

const COLOURS = ["#3b7ddd", "#d9622b", "#2e9e5b", "#b5417f", "#8a6fd1", "#b58a00", "#1b9aaa", "#7a7f8a"];

function Plot({ metrics, stat, span }: { metrics: Metric[]; stat: string; span: number }) {
  const box = useRef<HTMLDivElement>(null);
  const [error, setError] = useState<unknown>();
  const [data, setData] = useState<uPlot.AlignedData>();
  const period = useMemo(() => SPANS.find(([value]) => Number(value) === span)?.[2] ?? 60, [span]);
  useEffect(() => {
    const end = Math.ceil(Date.now() / 1000 / period) * period;
    const start = end - span;
    call<{ MetricDataResults: { Id: string; Timestamps: number[]; Values: number[] }[] }>("cloudwatch", "GetMetricData", {
      StartTime: start, EndTime: end, MetricDataQueries: metrics.map((Metric, i) => ({ Id: `m${i}`, MetricStat: { Metric, Period: period, Stat: stat } })),
    }).then(({ MetricDataResults }) => {
      const times = Array.from({ length: Math.ceil(span / period) }, (_, i) => start + i * period);
      const series = metrics.map((_, i) => {
        const found = MetricDataResults.find((r) => r.Id === `m${i}`);
        const at = new Map((found?.Timestamps ?? []).map((t, n) => [Math.floor(t / period) * period, found!.Values[n]]));
        return times.map((t) => at.get(t) ?? null);
      });
      setData([times, ...series] as uPlot.AlignedData);
    }, setError);
  }, []);
  useEffect(() => {
    if (!data || !box.current) return undefined;
    const colour = getComputedStyle(box.current).color;
    const axis = { stroke: colour, grid: { stroke: "#8885", width: 1 }, ticks: { stroke: "#8885" } };
    const plot = new uPlot({
      width: box.current.clientWidth, height: 300, axes: [axis, ofValues(axis)],
      series: [{}, ...metrics.map((m, i) => ({ label: short(m), stroke: COLOURS[i], width: 2, points: { show: true, size: 5 }, spanGaps: false }))],
    }, data, box.current);
    const sized = new ResizeObserver(() => box.current && plot.setSize({ width: box.current.clientWidth, height: 300 }));
    sized.observe(box.current);
    return () => { sized.disconnect(); plot.destroy(); };
  }, [data]);
  if (error) return <Failure error={error} />;
  return <div class="card"><div class="plot" ref={box} role="img" aria-label={`Plot of ${metrics[0]?.MetricName ?? "a metric"}`}>{data ? null : <Loading />}</div></div>;
}
