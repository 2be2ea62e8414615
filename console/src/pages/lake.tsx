// The lake: buckets and their objects, and the catalog's databases, tables, partitions and versions of schemas.

import { useState } from "preact/hooks";
import { all, call } from "../api.ts";
import { link, setParams } from "../route.ts";
import { bytes, count } from "../time.ts";
import { lineage, type LineageNode, nodeLink } from "./linked.ts";
import { compared } from "./schema.ts";
import { Copy, fail, KeyValues, late, Loaded, Page, save, say, Table, Tabs, Time, useLoad } from "../ui.tsx";

interface Column { Name: string; Type?: string; Comment?: string }
interface CatalogTable { Name: string; DatabaseName: string; TableType?: string; UpdateTime?: number; CreateTime?: number; PartitionKeys?: Column[]; Parameters?: Record<string, string>; VersionId?: string; ViewOriginalText?: string; StorageDescriptor?: { Columns?: Column[]; Location?: string; InputFormat?: string; SerdeInfo?: { SerializationLibrary?: string; Parameters?: Record<string, string> } } }

/** What its files are: as its parameters say, else as its SerDe reads them; of a view that it is one. */
function format(table: CatalogTable): string {
  const said = table.Parameters?.classification ?? table.Parameters?.table_type;
  if (said) return said.toLowerCase();
  if (table.TableType === "VIRTUAL_VIEW") return "view";
  const reads = `${table.StorageDescriptor?.SerdeInfo?.SerializationLibrary ?? ""} ${table.StorageDescriptor?.InputFormat ?? ""}`.toLowerCase();
  return ["parquet", "orc", "avro", "json", "opencsv", "grok", "regex"].find((kind) => reads.includes(kind))?.replace("opencsv", "csv") ?? (/lazysimple|textinput/.test(reads) ? "text" : "");
}
interface Stored { Key: string; Size: number; LastModified: number; ETag: string }

const Preview = late(() => import("./preview.tsx").then((m) => m.Preview));
const Drawn = late(() => import("./lineage.tsx").then((m) => m.Drawn));

export default function Lake({ rest, params }: { rest: string; params: URLSearchParams }) {
  const [kind = "", first = "", ...others] = rest.split("/");
  if (kind === "s3" && first) return <Bucket bucket={first} prefix={params.get("prefix") ?? ""} open={params.get("key") ?? undefined} />;
  if (kind === "catalog" && first && others.length > 0) return <CatalogPage database={first} name={others.join("/")} params={params} />;
  return <Home params={params} />;
}

function Home({ params }: { params: URLSearchParams }) {
  const tab = params.get("tab") === "Buckets" ? "Buckets" : "Catalog";
  const loaded = useLoad(async () => {
    const [buckets, databases] = await Promise.all([
      all<{ Name: string; CreationDate: number }>("s3", "ListBuckets", {}, "Buckets", "ContinuationToken"),
      all<{ Name: string; Description?: string; LocationUri?: string }>("glue", "GetDatabases", {}, "DatabaseList", "NextToken"),
    ]);
    const tables = await Promise.all(databases.items.map((d) => all<CatalogTable>("glue", "GetTables", { DatabaseName: d.Name }, "TableList", "NextToken").then((t) => t.items)));
    return { buckets: buckets.items, tables: tables.flat(), databases: databases.items };
  }, [], ["glue"]);
  return (
    <Page title="Lake">
      <Tabs names={["Catalog", "Buckets"]} now={tab} onPick={(name) => setParams({ tab: name === "Catalog" ? undefined : name })} />
      <div role="tabpanel" aria-labelledby={`tab-${tab}`}>
        <Loaded of={loaded}>{({ buckets, tables, databases }) => (tab === "Buckets"
          ? <Table rows={buckets} label="Buckets" empty="No bucket yet." columns={[
            { name: "Bucket", cell: (b) => <a href={link("lake", `s3/${b.Name}`)}>{b.Name}</a>, sort: (b) => b.Name }, { name: "Made", cell: (b) => <Time at={b.CreationDate} />, sort: (b) => b.CreationDate }]} />
          : <>
            <p class="quiet">{count(databases.length, "database")}, {count(tables.length, "table")}</p>
            <Table rows={tables} label="Tables of the catalog" empty="The catalog has no tables: a crawler or CREATE TABLE makes them." columns={[
              { name: "Table", cell: (t) => <a href={link("lake", `catalog/${t.DatabaseName}/${t.Name}`)}>{t.Name}</a>, sort: (t) => t.Name },
              { name: "Database", cell: (t) => t.DatabaseName, sort: (t) => t.DatabaseName },
              { name: "Columns", numeric: true, cell: (t) => (t.StorageDescriptor?.Columns?.length ?? 0) + (t.PartitionKeys?.length ?? 0) },
              { name: "Format", cell: format, sort: (t) => format(t) },
              { name: "Location", wide: true, cell: (t) => <Place uri={t.StorageDescriptor?.Location} /> },
              { name: "Changed", cell: (t) => <Time at={t.UpdateTime} />, sort: (t) => t.UpdateTime ?? 0 },
            ]} />
          </>)}</Loaded>
      </div>
    </Page>
  );
}

export function Place({ uri }: { uri?: string }) {
  const at = /^s3a?:\/\/([^/]+)\/?(.*)$/.exec(uri ?? "");
  return at ? <a href={link("lake", `s3/${at[1]}`, { prefix: at[2] })}>{uri}</a> : <>{uri}</>;
}

const UPLOAD = 8 << 20;

function Bucket({ bucket, prefix, open }: { bucket: string; prefix: string; open?: string }) {
  const [pages, setPages] = useState(1);
  const loaded = useLoad(async () => {
    const folders: string[] = [];
    const objects: Stored[] = [];
    let next: string | undefined;
    for (let n = 0; n < pages; n++) {
      const page = await call<{ Contents?: Stored[]; CommonPrefixes?: { Prefix: string }[]; NextContinuationToken?: string }>("s3", "ListObjectsV2", { Bucket: bucket, Delimiter: "/", ...(prefix ? { Prefix: prefix } : {}), ...(next ? { ContinuationToken: next } : {}) });
      folders.push(...(page.CommonPrefixes ?? []).map((p) => p.Prefix));
      objects.push(...(page.Contents ?? []));
      next = page.NextContinuationToken;
      if (!next) break;
    }
    return { folders, objects, more: Boolean(next) };
  }, [bucket, prefix, pages]);
  const upload = (e: Event) => {
    const [file] = (e.currentTarget as HTMLInputElement).files ?? [];
    if (!file) return;
    if (file.size > UPLOAD) { fail(new Error("The console uploads files of up to 8 MiB; aws s3 cp takes any")); return; }
    const reader = new FileReader();
    reader.onload = () => {
      const Body = String(reader.result).split(",", 2)[1] ?? "";
      call("s3", "PutObject", { Bucket: bucket, Key: prefix + file.name, Body, ContentType: file.type || undefined }).then(() => { say(`Uploaded ${file.name}`); loaded.again(); }, fail);
    };
    reader.readAsDataURL(file);
  };
  const parts = prefix.split("/").filter(Boolean);
  return (
    <Page title={bucket} kind="Bucket" up={["Buckets", link("lake", "", { tab: "Buckets" })]}
      actions={<label>Upload <input type="file" onChange={upload} /></label>}
      note={<p><a href={link("lake", `s3/${bucket}`)}>{bucket}</a>{parts.map((part, n) => <> / <a href={link("lake", `s3/${bucket}`, { prefix: `${parts.slice(0, n + 1).join("/")}/` })}>{part}</a></>)} <Copy text={`s3://${bucket}/${prefix}`} /> <a href={link("lineage", `s3://${bucket}/${prefix}`)}>Lineage</a></p>}>
      <Loaded of={loaded}>{({ folders, objects, more }) => (
        <Table rows={[...folders.map((Key) => ({ Key, Size: -1, LastModified: 0, ETag: "" })), ...objects]} label="Objects" empty={prefix ? `Nothing is below ${prefix}` : "The bucket is empty."}
          more={more ? () => setPages(pages + 1) : undefined} mark={(o) => o.Key === open} key={(o) => o.Key} columns={[
            { name: "Name", wide: true, cell: (o) => (o.Size < 0 ? <a href={link("lake", `s3/${bucket}`, { prefix: o.Key })}>{o.Key.slice(prefix.length)}</a> : <button class="quiet-button" onClick={() => setParams({ key: o.Key === open ? undefined : o.Key })}>{o.Key.slice(prefix.length)}</button>) },
            { name: "Size", numeric: true, cell: (o) => (o.Size < 0 ? "" : bytes(o.Size)), sort: (o) => o.Size },
            { name: "Changed", cell: (o) => (o.Size < 0 ? "" : <Time at={o.LastModified} />), sort: (o) => o.LastModified },
          ]} />
      )}</Loaded>
      {open ? <Stored bucket={bucket} name={open} /> : null}
    </Page>
  );
}

function Stored({ bucket, name }: { bucket: string; name: string }) {
  const loaded = useLoad(() => call<{ ContentLength: number; ContentType?: string; LastModified: number; ETag: string; VersionId?: string; Metadata?: Record<string, string> }>("s3", "HeadObject", { Bucket: bucket, Key: name }), [bucket, name]);
  const uri = `s3://${bucket}/${name}`;
  const download = (VersionId?: string) => {
    call<{ Body: string; ContentType?: string }>("s3", "GetObject", { Bucket: bucket, Key: name, ...(VersionId ? { VersionId } : {}) }).then(({ Body, ContentType }) => save(new Blob([Uint8Array.from(atob(Body ?? ""), (c) => c.charCodeAt(0)) as BlobPart], { type: ContentType }), name.split("/").pop()!), fail);
  };
  return (
    <div class="card">
      <h2>{name}</h2>
      <Loaded of={loaded}>{(head) => (
        <>
          <KeyValues of={[["Size", bytes(head.ContentLength)], ["Type", head.ContentType], ["Changed", <Time at={head.LastModified} />], ["ETag", head.ETag], ["Version", head.VersionId], ["Written by", <Writer uri={uri} etag={head.ETag} />], ...Object.entries(head.Metadata ?? {}) as [string, string][]]} />
          <p class="row"><button onClick={() => download()} disabled={head.ContentLength > 64 << 20}>Download</button><Copy text={uri} label="Copy address" /><a href={link("lineage", uri, { detail: "OBJECT" })}>Lineage</a><Sql uri={uri} /></p>
          {head.ContentLength > 0 ? <Preview bucket={bucket} name={name} size={head.ContentLength} /> : <p class="quiet">It is empty.</p>}
          <Versions bucket={bucket} name={name} onTake={download} />
        </>
      )}</Loaded>
    </div>
  );
}

interface ObjectVersion { Key: string; VersionId: string; IsLatest: boolean; LastModified: number; Size?: number }

/** What the object was before, where its bucket keeps versions. */
function Versions({ bucket, name, onTake }: { bucket: string; name: string; onTake: (version: string) => void }) {
  const loaded = useLoad(async () => {
    const { Status } = await call<{ Status?: string }>("s3", "GetBucketVersioning", { Bucket: bucket });
    if (!Status) return undefined;
    const found = await call<{ Versions?: ObjectVersion[]; DeleteMarkers?: ObjectVersion[] }>("s3", "ListObjectVersions", { Bucket: bucket, Prefix: name, MaxKeys: 1000 });
    const of = (list: ObjectVersion[] | undefined, deleted: boolean) => (list ?? []).filter((v) => v.Key === name).map((v) => ({ ...v, deleted }));
    return [...of(found.Versions, false), ...of(found.DeleteMarkers, true)].sort((a, b) => b.LastModified - a.LastModified);
  }, [bucket, name], ["s3"]);
  if (loaded.error === undefined && loaded.value === undefined) return null;
  return (
    <>
      <h3>Versions</h3>
      <Loaded of={loaded}>{(rows) => <Table rows={rows ?? []} label="Versions of the object" columns={[
        { name: "Version", wide: true, cell: (v) => <code>{v.VersionId}</code> }, { name: "Made", cell: (v) => <Time at={v.LastModified} />, sort: (v) => v.LastModified },
        { name: "Size", numeric: true, cell: (v) => (v.deleted ? "deleted" : bytes(v.Size)) }, { name: "", cell: (v) => (v.IsLatest ? "now" : "") },
        { name: "", cell: (v) => (v.deleted ? "" : <button class="quiet-button" onClick={() => onTake(v.VersionId)}>Download</button>) },
      ]} />}</Loaded>
    </>
  );
}

/** Who wrote what is there now: the worker whose content has this ETag. */
function Writer({ uri, etag }: { uri: string; etag: string }) {
  const found = useLoad(() => lineage(uri, "OBJECT", "UPSTREAM"), [uri, etag]);
  if (found.error) return <span class="quiet">not to be seen: {String((found.error as Error).message)}</span>;
  if (!found.value) return <span class="quiet">…</span>;
  const { Nodes, Edges } = found.value;
  // Of several who wrote the same content, the last.
  const [wrote] = Edges.filter((e) => e.Type === "WROTE" && e.Target === uri && e.ETag === etag.replace(/"/g, "")).sort((a, b) => (b.LastTime ?? 0) - (a.LastTime ?? 0));
  const chain: LineageNode[] = [];
  for (let at = wrote?.Source; at && chain.length < 20; at = Edges.find((e) => e.Type === "STARTED" && e.Target === at)?.Source) { const node = Nodes.find((n) => n.Id === at); if (node) chain.push(node); }
  if (chain.length === 0) return <span class="quiet">not recorded (keys of users and of the owner leave no writer)</span>;
  return <>{chain.map((node, n) => <>{n > 0 ? " for " : ""}{node.Type.toLowerCase().replace("_", " ")} <a href={nodeLink(node)}>{node.Name}</a></>)}</>;
}

/** The tables of the catalog whose location an object lies below. */
function Sql({ uri }: { uri: string }) {
  const found = useLoad(async () => {
    const { items } = await all<CatalogTable>("glue", "SearchTables", {}, "TableList", "NextToken");
    return items.filter((t) => { const at = t.StorageDescriptor?.Location?.replace(/^s3a:/, "s3:").replace(/\/?$/, "/"); return at !== undefined && uri.startsWith(at); });
  }, [uri]);
  return <>{(found.value ?? []).map((t) => <a href={link("sql", "", { statement: `SELECT *\nFROM "${t.DatabaseName}"."${t.Name}"\nWHERE "$path" = '${uri.replace(/'/g, "''")}'\nLIMIT 100` })}>Rows of it in {t.DatabaseName}.{t.Name}</a>)}</>;
}

interface Version { VersionId: string; Table: CatalogTable }

function CatalogPage({ database, name, params }: { database: string; name: string; params: URLSearchParams }) {
  const tabs = ["Schema", "Partitions", "Versions", "Lineage"];
  const tab = tabs.includes(params.get("tab") ?? "") ? params.get("tab")! : "Schema";
  const loaded = useLoad(async () => {
    const of = { DatabaseName: database, TableName: name };
    const [{ Table }, partitions, versions] = await Promise.all([
      call<{ Table: CatalogTable }>("glue", "GetTable", { DatabaseName: database, Name: name }),
      all<{ Values: string[]; CreationTime?: number; StorageDescriptor?: { Location?: string } }>("glue", "GetPartitions", of, "Partitions", "NextToken", 2000),
      all<Version>("glue", "GetTableVersions", of, "TableVersions", "NextToken", 100).catch(() => ({ items: [] as Version[], more: false })),
    ]);
    return { table: Table, partitions, versions: versions.items };
  }, [database, name], ["glue"]);
  return (
    <Page title={`${database}.${name}`} kind="Table" up={["Catalog", "#/lake"]} actions={<a href={link("sql", "", { statement: `SELECT * FROM "${database}"."${name}" LIMIT 100` })}>Ask in SQL</a>}>
      <Loaded of={loaded}>{({ table, partitions, versions }) => {
        const columns = (of: CatalogTable) => [...(of.StorageDescriptor?.Columns ?? []), ...(of.PartitionKeys ?? []).map((c) => ({ ...c, Comment: "partition key" }))];
        return (
          <>
            <div class="card"><KeyValues of={[["Location", <Place uri={table.StorageDescriptor?.Location} />], ["Kind", table.TableType], ["Format", format(table)], ["SerDe", table.StorageDescriptor?.SerdeInfo?.SerializationLibrary], ["Made", <Time at={table.CreateTime} />], ["Changed", <Time at={table.UpdateTime} />]]} /></div>
            <Tabs names={tabs} now={tab} onPick={(t) => setParams({ tab: t })} />
            <div role="tabpanel" aria-labelledby={`tab-${tab}`}>
              {tab === "Schema" ? <>
                <Table rows={columns(table)} label="Columns" columns={[{ name: "Column", cell: (c) => c.Name, sort: (c) => c.Name }, { name: "Type", cell: (c) => <code>{c.Type}</code>, wide: true }, { name: "Comment", cell: (c) => c.Comment }]} />
                <h2>Parameters</h2>
                <KeyValues of={Object.entries({ ...table.StorageDescriptor?.SerdeInfo?.Parameters, ...table.Parameters })} />
              </> : null}
              {tab === "Partitions" ? <Table rows={partitions.items} label="Partitions" empty="The table has no partitions." columns={[
                ...(table.PartitionKeys ?? []).map((key, at) => ({ name: key.Name, cell: (p: { Values: string[] }) => p.Values[at], sort: (p: { Values: string[] }) => p.Values[at] ?? "" })),
                { name: "Location", wide: true, cell: (p) => <Place uri={p.StorageDescriptor?.Location} /> }, { name: "Made", cell: (p) => <Time at={p.CreationTime} /> },
                { name: "Lineage", cell: (p) => { const at = p.StorageDescriptor?.Location; return at ? <a href={link("lineage", at.replace(/^s3a:/, "s3:").replace(/\/?$/, "/"), { detail: "OBJECT" })}>who wrote it</a> : ""; } }]} /> : null}
              {tab === "Lineage" ? (table.StorageDescriptor?.Location?.startsWith("s3") ? <><h2>Its files</h2><Drawn resource={table.StorageDescriptor.Location.replace(/^s3a:/, "s3:").replace(/\/?$/, "/")} /><h2>Its entry in the catalog</h2><Drawn resource={`glue://${database}/${name}`} /></> : <Drawn resource={`glue://${database}/${name}`} />) : null}
              {tab === "Versions" ? <>
                {versions.length > 1 ? <SideBySide versions={versions} columns={columns} params={params} /> : null}
                <h2>All versions</h2>
                <Table rows={versions} label="Versions of the schema" empty="Only the schema of now." columns={[
                  { name: "Version", cell: (v) => v.VersionId }, { name: "Changed", cell: (v) => <Time at={v.Table.UpdateTime} /> },
                  { name: "Columns", wide: true, cell: (v) => columns(v.Table).map((c) => `${c.Name} ${c.Type ?? ""}`).join(", ") }]} />
              </> : null}
            </div>
          </>
        );
      }}</Loaded>
    </Page>
  );
}

const WHAT = { same: "", added: "added", removed: "removed", type: "another type", moved: "moved" };

/** Two versions of a schema, column by column; the newest two at first. */
function SideBySide({ versions, columns, params }: { versions: Version[]; columns: (of: CatalogTable) => Column[]; params: URLSearchParams }) {
  const find = (id: string | null, or: number) => versions.find((v) => v.VersionId === id) ?? versions[or]!;
  const [after, before] = [find(params.get("after"), 0), find(params.get("before"), 1)];
  const rows = compared(columns(before.Table), columns(after.Table));
  const pick = (name: string, label: string, now: Version) => (
    <label>{label} <select value={now.VersionId} onChange={(e) => setParams({ [name]: e.currentTarget.value })}>{versions.map((v) => <option value={v.VersionId}>version {v.VersionId}</option>)}</select></label>
  );
  return (
    <>
      <p class="row">{pick("before", "Before", before)}{pick("after", "After", after)}<span class="quiet">{rows.every((r) => r.what === "same") ? "Their columns are the same." : `${count(rows.filter((r) => r.what !== "same").length, "column differs", "columns differ")}.`}</span></p>
      <Table rows={rows} label="Columns of both versions" mark={(r) => r.what !== "same"} columns={[
        { name: "Column", cell: (r) => r.name }, { name: `Version ${before.VersionId}`, cell: (r) => (r.before === undefined ? <span class="quiet">not there</span> : <code>{r.before}</code>) },
        { name: `Version ${after.VersionId}`, cell: (r) => (r.after === undefined ? <span class="quiet">not there</span> : <code>{r.after}</code>) }, { name: "What", cell: (r) => WHAT[r.what] },
      ]} />
    </>
  );
}
