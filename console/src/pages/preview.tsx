// What is in an object: Parquet by its footer (schema, row groups with their statistics) and first rows, CSV as a table, JSON as trees.
// Only the pieces that are needed are read.

import { csvParseRows } from "d3-dsv";
import { gunzipSync } from "fflate";
import { decompress } from "fzstd";
import { type AsyncBuffer, type FileMetaData, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { useState } from "preact/hooks";
import { call } from "../api.ts";
import { bytes, count } from "../time.ts";
import { Loaded, parsed, Table, Tabs, Tree, useLoad } from "../ui.tsx";

export const decoded = (body: string): Uint8Array => Uint8Array.from(atob(body), (c) => c.charCodeAt(0));

const START = 256 * 1024;
const ROWS = 100;
/** More is not read for a row group's first rows. */
const MOST = 32 << 20;

/** A piece of an object. */
async function piece(Bucket: string, Key: string, from: number, to: number): Promise<Uint8Array> {
  if (to <= from) return new Uint8Array();
  const { Body } = await call<{ Body: string }>("s3", "GetObject", { Bucket, Key, Range: `bytes=${from}-${to - 1}` });
  return decoded(Body ?? "");
}

const compressors = {
  GZIP: (input: Uint8Array, length: number) => gunzipSync(input, { out: new Uint8Array(length) }),
  ZSTD: (input: Uint8Array, length: number) => decompress(input, new Uint8Array(length)),
};

type Kind = { parquet: FileMetaData; file: AsyncBuffer } | { text: string; cut: boolean } | { binary: string };

async function look(bucket: string, name: string, size: number): Promise<Kind> {
  const start = await piece(bucket, name, 0, Math.min(size, START));
  const magic = new TextDecoder("latin1").decode(start.slice(0, 4));
  if (magic === "PAR1" && size > 12) {
    const file: AsyncBuffer = { byteLength: size, slice: async (from: number, to = size) => (await piece(bucket, name, from, Math.min(to, size))).buffer as ArrayBuffer };
    return { parquet: await parquetMetadataAsync(file), file };
  }
  if (start[0] === 0x1f && start[1] === 0x8b) {
    if (size > START) return { binary: "It is compressed with gzip and too large to be opened here." };
    return { text: new TextDecoder().decode(gunzipSync(start)), cut: false };
  }
  if (start.includes(0)) return { binary: magic.startsWith("ORC") ? "This is ORC: a table of the catalog over it can be asked in SQL." : magic.startsWith("Obj") ? "This is Avro: a table of the catalog over it can be asked in SQL." : "This is not text." };
  return { text: new TextDecoder().decode(start), cut: size > START };
}

export function Preview({ bucket, name, size }: { bucket: string; name: string; size: number }) {
  const loaded = useLoad(() => look(bucket, name, size), [bucket, name, size]);
  return (
    <Loaded of={loaded}>{(found) => ("parquet" in found ? <Parquet of={found.parquet} file={found.file} />
      : "text" in found ? <Text name={name} text={found.text} cut={found.cut} /> : <p class="quiet">{found.binary}</p>)}</Loaded>
  );
}

const cell = (value: unknown): string =>
  value === null || value === undefined ? "" : value instanceof Date ? value.toISOString() : value instanceof Uint8Array ? `${value.length} bytes` : typeof value === "object" ? JSON.stringify(value, (_, v: unknown) => (typeof v === "bigint" ? v.toString() : v)) : String(value);

function Parquet({ of, file }: { of: FileMetaData; file: AsyncBuffer }) {
  const [tab, setTab] = useState("Rows");
  const columns = of.schema.slice(1).filter((s) => !s.num_children);
  const first = of.row_groups[0];
  const small = !first || Number(first.total_compressed_size ?? first.total_byte_size) <= MOST;
  const rows = useLoad(async () => (first && small ? parquetReadObjects({ file, metadata: of, rowEnd: Math.min(ROWS, Number(of.num_rows)), compressors, useOffsetIndex: true }) : []), [of]);
  const names = of.schema.filter((s, i) => i > 0 && of.schema.length > 0).map((s) => s.name);
  const top = rows.value?.[0] ? Object.keys(rows.value[0]) : names;
  const groups = of.row_groups.flatMap((group, n) => group.columns.map((c) => ({ n, rows: Number(group.num_rows), of: c.meta_data! })).filter((c) => c.of));
  return (
    <>
      <p class="quiet">Parquet, {count(Number(of.num_rows), "row")} in {count(of.row_groups.length, "row group")}, {count(columns.length, "column")}. {of.created_by}</p>
      <Tabs names={["Rows", "Schema", "Row groups"]} now={tab} onPick={setTab} />
      <div role="tabpanel" aria-labelledby={`tab-${tab}`}>
        {tab === "Rows" ? (!small ? <p class="quiet">The first row group has {bytes(Number(first.total_byte_size))}: ask for rows in SQL.</p>
          : <Loaded of={rows}>{(found) => <Table rows={found} label="First rows" empty="No rows." columns={top.map((c) => ({ name: c, cell: (r: Record<string, unknown>) => (r[c] === null || r[c] === undefined ? <span class="quiet">NULL</span> : cell(r[c])) }))} />}</Loaded>) : null}
        {tab === "Schema" ? <Table rows={of.schema.slice(1)} label="Schema" columns={[
          { name: "Column", cell: (s) => s.name, sort: (s) => s.name }, { name: "Type", cell: (s) => <code>{s.type ?? `${s.num_children} members`}</code> },
          { name: "Logical type", cell: (s) => s.logical_type?.type ?? s.converted_type ?? "" }, { name: "Repetition", cell: (s) => s.repetition_type?.toLowerCase() },
        ]} /> : null}
        {tab === "Row groups" ? <Table rows={groups} label="Row groups" columns={[
          { name: "Group", numeric: true, cell: (g) => g.n, sort: (g) => g.n }, { name: "Rows", numeric: true, cell: (g) => g.rows.toLocaleString(), sort: (g) => g.rows },
          { name: "Column", cell: (g) => g.of.path_in_schema.join("."), sort: (g) => g.of.path_in_schema.join(".") },
          { name: "Codec", cell: (g) => g.of.codec.toLowerCase() }, { name: "Stored", numeric: true, cell: (g) => bytes(Number(g.of.total_compressed_size)), sort: (g) => Number(g.of.total_compressed_size) },
          { name: "Unpacked", numeric: true, cell: (g) => bytes(Number(g.of.total_uncompressed_size)), sort: (g) => Number(g.of.total_uncompressed_size) },
          { name: "Least", cell: (g) => cell(g.of.statistics?.min_value ?? g.of.statistics?.min).slice(0, 40) }, { name: "Greatest", cell: (g) => cell(g.of.statistics?.max_value ?? g.of.statistics?.max).slice(0, 40) },
          { name: "NULL", numeric: true, cell: (g) => (g.of.statistics?.null_count === undefined ? <span class="quiet">not said</span> : Number(g.of.statistics.null_count).toLocaleString()) },
        ]} /> : null}
      </div>
    </>
  );
}

function Text({ name, text, cut }: { name: string; text: string; cut: boolean }) {
  const plain = name.replace(/\.gz$/, "");
  const [raw, setRaw] = useState(false);
  const whole = cut ? text.slice(0, Math.max(0, text.lastIndexOf("\n"))) : text;
  const said = cut ? <p class="quiet">The first {bytes(START)} of it.</p> : null;
  const csv = /\.csv$/i.test(plain);
  const json = /\.(json|jsonl|ndjson)$/i.test(plain);
  const turn = csv || json ? <p><button onClick={() => setRaw(!raw)}>{raw ? "As a table" : "As text"}</button></p> : null;
  if (csv && !raw) {
    const rows = csvParseRows(whole);
    const widest = Math.max(0, ...rows.map((r) => r.length));
    return <>{turn}{said}<p class="quiet">The first line stands as the heading, whether it is one or not.</p><Table rows={rows.slice(1)} label="Rows" empty="Only one line." columns={Array.from({ length: widest }, (_, at) => ({ name: rows[0]?.[at] ?? `column ${at + 1}`, cell: (r: string[]) => r[at] ?? "" }))} /></>;
  }
  if (json && !raw) {
    const value = parsed(whole);
    if (value !== null && typeof value === "object") return <>{turn}<Tree value={value} /></>;
    const lines = whole.split("\n").filter((l) => l.trim() !== "").slice(0, ROWS);
    return <>{turn}{said}{lines.map((line) => <Tree value={parsed(line)} depth={1} />)}</>;
  }
  return <>{turn}<pre tabIndex={0}>{text}{cut ? "\n…" : ""}</pre></>;
}
