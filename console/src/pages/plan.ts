// A plan as EXPLAIN ANALYZE writes it, taken apart: pure, tested without a browser.

/** The lines of a plan: each operator with what it says of its rows and its time. */
export function operators(lines: string[]): { depth: number; name: string; about: string; rows?: number; ns?: number }[] {
  return lines.filter((line) => /^\s*\w+/.test(line)).map((line) => {
    const [, indent = "", name = "", rest = ""] = /^(\s*)([\w ]+?)(?::\s*(.*))?$/.exec(line) ?? [];
    const cut = rest.indexOf("metrics=[");
    const said = cut < 0 ? "" : rest.slice(cut + 9);
    const rows = /(?:^|[\s,[])output_rows=([\d.]+)( [KMB])?/.exec(said);
    const time = /(?:^|[\s,[])elapsed_compute=([\d.]+)(ns|µs|ms|s|m)\b/.exec(said);
    const scale: Record<string, number> = { ns: 1, "µs": 1e3, ms: 1e6, s: 1e9, m: 6e10 };
    const times: Record<string, number> = { " K": 1e3, " M": 1e6, " B": 1e9 };
    return {
      depth: indent.length / 2, name, about: (cut < 0 ? rest : rest.slice(0, cut)).replace(/,\s*$/, ""),
      ...(rows ? { rows: Number(rows[1]) * (times[rows[2] ?? ""] ?? 1) } : {}), ...(time ? { ns: Number(time[1]) * scale[time[2]!]! } : {}),
    };
  });
}
