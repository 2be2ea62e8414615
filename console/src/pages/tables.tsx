// DynamoDB's tables and their items: by key, by PartiQL, or page by page; items are edited as DynamoDB's JSON.

import { useEffect, useState } from "preact/hooks";
import { all, call } from "../api.ts";
import { link, setParams } from "../route.ts";
import { bytes, count } from "../time.ts";
import { Arn, Badge, Dialog, Failure, fail, KeyValues, Loaded, Page, say, Table, Time, Tree, useLoad } from "../ui.tsx";
import { type Figure, LastDay } from "./lastday.tsx";

type Item = Record<string, Record<string, unknown>>;
interface Key { AttributeName: string; KeyType: string }
interface Index { IndexName: string; KeySchema: Key[] }
interface Described { TableName: string; TableArn: string; TableStatus: string; ItemCount: number; TableSizeBytes: number; CreationDateTime: number; KeySchema: { AttributeName: string; KeyType: string }[]; AttributeDefinitions: { AttributeName: string; AttributeType: string }[]; GlobalSecondaryIndexes?: Index[]; LocalSecondaryIndexes?: Index[]; StreamSpecification?: { StreamViewType: string } }

const FIGURES: Figure[] = [["ConsumedReadCapacityUnits", "Sum", "read units"], ["ConsumedWriteCapacityUnits", "Sum", "write units"], ["ConditionalCheckFailedRequests", "Sum", "conditions failed"]];

export default function Tables({ rest, params }: { rest: string; params: URLSearchParams }) {
  return rest ? <One name={rest} params={params} /> : <List />;
}

function List() {
  const loaded = useLoad(() => all<string>("dynamodb", "ListTables", {}, "TableNames", "LastEvaluatedTableName"), [], ["dynamodb"]);
  return <Page title="Tables' items"><Loaded of={loaded}>{({ items }) => <Table rows={items} label="Tables" empty="No DynamoDB table yet." columns={[{ name: "Table", cell: (t) => <a href={link("tables", t)}>{t}</a>, sort: (t) => t }]} />}</Loaded></Page>;
}

/** DynamoDB's JSON as the values that it writes; a set as a list, bytes as their base64. */
function plain(value: Record<string, unknown> | undefined): unknown {
  if (!value) return undefined;
  const [[kind, inner] = ["NULL", true]] = Object.entries(value);
  if (kind === "M") return Object.fromEntries(Object.entries(inner as Item).map(([k, v]) => [k, plain(v)]));
  if (kind === "L") return (inner as Record<string, unknown>[]).map(plain);
  if (kind === "NULL") return null;
  if (kind === "N") return Number.isSafeInteger(Number(inner)) ? Number(inner) : inner;
  return inner;
}

function One({ name, params }: { name: string; params: URLSearchParams }) {
  const table = useLoad(() => call<{ Table: Described }>("dynamodb", "DescribeTable", { TableName: name }).then((r) => r.Table), [name]);
  const statement = params.get("statement") ?? "";
  const [asked, setAsked] = useState(statement);
  const [items, setItems] = useState<Item[]>();
  const [next, setNext] = useState<unknown>();
  const [error, setError] = useState<unknown>();
  const [open, setOpen] = useState<Item>();
  const read = (after?: unknown) => {
    const wanted = params.get("key");
    if (wanted !== null && !statement && !table.value) return;
    const page = wanted !== null && !statement
      ? call<{ Items: Item[]; LastEvaluatedKey?: Item }>("dynamodb", "Query", { ...asQuery(table.value!, params), Limit: 100, ...(after ? { ExclusiveStartKey: after } : {}) }).then((r) => ({ items: r.Items, next: r.LastEvaluatedKey as unknown }))
      : statement
      ? call<{ Items: Item[]; NextToken?: string }>("dynamodb", "ExecuteStatement", { Statement: statement, Limit: 100, ...(after ? { NextToken: after } : {}) }).then((r) => ({ items: r.Items, next: r.NextToken as unknown }))
      : call<{ Items: Item[]; LastEvaluatedKey?: Item }>("dynamodb", "Scan", { TableName: name, Limit: 100, ...(after ? { ExclusiveStartKey: after } : {}) }).then((r) => ({ items: r.Items, next: r.LastEvaluatedKey as unknown }));
    page.then((found) => { setItems((old) => [...(after ? (old ?? []) : []), ...found.items]); setNext(found.next); setError(undefined); }, setError);
  };
  const query = ["key", "index", "op", "sort"].map((p) => params.get(p)).join("\n");
  useEffect(() => { setItems(undefined); read(); }, [name, statement, query, params.get("key") === null || table.value !== undefined]);
  return (
    <Page title={name} kind="Table" up={["Tables", "#/tables"]} actions={<button onClick={() => setOpen({})}>New item…</button>}>
      <Loaded of={table}>{(t) => {
        const keys = t.KeySchema.map((k) => k.AttributeName);
        const attributes = [...new Set([...keys, ...(items ?? []).flatMap((i) => Object.keys(i))])].slice(0, 12);
        return (
          <>
            <div class="card"><KeyValues of={[["ARN", <Arn arn={t.TableArn} />], ["Status", <Badge status={t.TableStatus} />], ["Key", t.KeySchema.map((k) => `${k.AttributeName} (${k.KeyType.toLowerCase()})`).join(", ")], ["Items", `${count(t.ItemCount, "item")}, ${bytes(t.TableSizeBytes)}`], ["Indexes", t.GlobalSecondaryIndexes?.map((i) => i.IndexName).join(", ")], ["Stream", t.StreamSpecification?.StreamViewType], ["Made", <Time at={t.CreationDateTime} />]]} /></div>
            <LastDay namespace="AWS/DynamoDB" dimensions={{ TableName: name }} figures={FIGURES} />
            <ByKey table={t} params={params} />
            <form class="row" onSubmit={(e) => { e.preventDefault(); setParams({ statement: asked || undefined, key: undefined, sort: undefined, op: undefined, index: undefined }); }}>
              <label style="flex:1">PartiQL <input style="width:100%" value={asked} placeholder={`SELECT * FROM "${name}" WHERE ${keys[0]} = '…'`} onInput={(e) => setAsked(e.currentTarget.value)} /></label><button>Ask</button>
            </form>
            {error ? <Failure error={error} /> : null}
            <p />
            {items ? <Table rows={items} label="Items" empty={statement || params.get("key") !== null ? "No item is like that." : "The table is empty."} more={next ? () => read(next) : undefined}
              columns={attributes.map((a) => ({ name: a, cell: (i: Item) => {
                const value = plain(i[a]);
                if (a === keys[0]) return <button class="quiet-button" onClick={() => setOpen(i)}>{String(value)}</button>;
                return value !== null && typeof value === "object" ? <Tree value={value} depth={2} /> : value === undefined ? "" : String(value);
              }, sort: (i: Item) => { const v = plain(i[a]); return typeof v === "number" ? v : JSON.stringify(v ?? ""); } }))} /> : null}
            {open ? <Edit table={t} item={open} onDone={() => { setOpen(undefined); read(); }} onClose={() => setOpen(undefined)} /> : null}
          </>
        );
      }}</Loaded>
    </Page>
  );
}

const OPERATORS: Record<string, string> = { "=": "#s = :s", "<": "#s < :s", "<=": "#s <= :s", ">": "#s > :s", ">=": "#s >= :s", "begins with": "begins_with(#s, :s)" };

const keysOf = (table: Described, index: string): Key[] =>
  [...(table.GlobalSecondaryIndexes ?? []), ...(table.LocalSecondaryIndexes ?? [])].find((i) => i.IndexName === index)?.KeySchema ?? table.KeySchema;

/** The form's values as Query takes them: each with the type that the table says its attribute has. */
function asQuery(table: Described, params: URLSearchParams): object {
  const index = params.get("index") ?? "";
  const keys = keysOf(table, index);
  const typed = (kind: string, text: string) => {
    const name = keys.find((k) => k.KeyType === kind)!.AttributeName;
    return { name, value: { [table.AttributeDefinitions.find((a) => a.AttributeName === name)?.AttributeType ?? "S"]: text } };
  };
  const hash = typed("HASH", params.get("key") ?? "");
  const sort = params.get("sort");
  const range = sort && keys.some((k) => k.KeyType === "RANGE") ? typed("RANGE", sort) : undefined;
  return {
    TableName: table.TableName, ...(index ? { IndexName: index } : {}),
    KeyConditionExpression: `#p = :p${range ? ` AND ${OPERATORS[params.get("op") ?? "="] ?? OPERATORS["="]}` : ""}`,
    ExpressionAttributeNames: { "#p": hash.name, ...(range ? { "#s": range.name } : {}) },
    ExpressionAttributeValues: { ":p": hash.value, ...(range ? { ":s": range.value } : {}) },
  };
}

/** A query by key, of the table or of one of its indexes. */
function ByKey({ table, params }: { table: Described; params: URLSearchParams }) {
  const [index, setIndex] = useState(params.get("index") ?? "");
  const indexes = [...(table.GlobalSecondaryIndexes ?? []), ...(table.LocalSecondaryIndexes ?? [])];
  const keys = keysOf(table, index);
  const sort = keys.find((k) => k.KeyType === "RANGE");
  const submit = (e: Event) => {
    e.preventDefault();
    const form = new FormData(e.currentTarget as HTMLFormElement);
    const text = (name: string) => String(form.get(name) ?? "") || undefined;
    setParams({ key: text("key"), sort: text("sort"), op: text("sort") ? text("op") : undefined, index: index || undefined, statement: undefined });
  };
  return (
    <form class="row" onSubmit={submit}>
      {indexes.length > 0 ? <label>Of <select value={index} onChange={(e) => setIndex(e.currentTarget.value)}><option value="">the table</option>{indexes.map((i) => <option value={i.IndexName}>index {i.IndexName}</option>)}</select></label> : null}
      <label>{keys.find((k) => k.KeyType === "HASH")?.AttributeName} = <input name="key" defaultValue={params.get("key") ?? ""} /></label>
      {sort ? <><label>{sort.AttributeName} <select name="op" defaultValue={params.get("op") ?? "="}>{Object.keys(OPERATORS).map((o) => <option>{o}</option>)}</select></label><label>Value <input name="sort" defaultValue={params.get("sort") ?? ""} /></label></> : null}
      <button>Query</button> {params.get("key") !== null ? <button type="button" class="quiet-button" onClick={() => setParams({ key: undefined, sort: undefined, op: undefined, index: undefined })}>All items</button> : null}
    </form>
  );
}

function Edit({ table, item, onDone, onClose }: { table: Described; item: Item; onDone: () => void; onClose: () => void }) {
  const [text, setText] = useState(JSON.stringify(item, null, 2));
  const [error, setError] = useState<unknown>();
  const key = Object.fromEntries(table.KeySchema.map((k) => [k.AttributeName, item[k.AttributeName]]));
  const is = Object.keys(item).length > 0;
  const put = () => { try { call("dynamodb", "PutItem", { TableName: table.TableName, Item: JSON.parse(text) }).then(() => { say("Saved"); onDone(); }, setError); } catch (e) { setError(new Error(`The item is not JSON: ${(e as Error).message}`)); } };
  const remove = () => { if (confirm("Delete this item?")) call("dynamodb", "DeleteItem", { TableName: table.TableName, Key: key }).then(() => { say("Deleted"); onDone(); }, fail); };
  return (
    <Dialog title={is ? "Item" : "New item"} onClose={onClose}>
      <label style="display:grid">DynamoDB JSON <textarea rows={16} spellcheck={false} value={text} onInput={(e) => setText(e.currentTarget.value)} /></label>
      {error ? <Failure error={error} /> : null}
      <p class="row"><button class="primary" onClick={put}>Save</button>{is ? <button class="danger" onClick={remove}>Delete…</button> : null}<button onClick={onClose}>Close</button></p>
    </Dialog>
  );
}
