// Kinds of which there is a list, one's description and what belongs to it, and no more to see: `kinds.ts` says what they are.

import type { ComponentChildren } from "preact";
import { all, call } from "../api.ts";
import { link } from "../route.ts";
import { bytes } from "../time.ts";
import { Arn, Badge, type Column, fail, KeyValues, Loaded, Page, say, Table, Time, Tree, useLoad } from "../ui.tsx";
import { KINDS, type Kind, type Listed, type Part } from "./kinds.ts";

type Row = Record<string, unknown>;

const read = (of: Listed): Promise<{ items: Row[]; more: boolean }> => all<Row>(of.service, of.operation, of.input ?? {}, of.member, of.token);

/** A member's name in words: LastModifiedTime is "Last modified time". */
const words = (member: string): string => {
  const spaced = member.replace(/([a-z0-9])([A-Z])/g, "$1 $2").replace(/([A-Z]+)([A-Z][a-z])/g, "$1 $2").toLowerCase().replace(/\b(aws|api)\b/g, (word) => word.toUpperCase()).replace(/\barn\b/, "ARN").replace(/\bid\b/, "ID").replace(/\buri\b/, "URI");
  return spaced[0]!.toUpperCase() + spaced.slice(1);
};

/** What a kind is called within a sentence: "API destination" keeps its capitals. */
const inside = (one: string): string => (/^[A-Z]{2}/.test(one) ? one : one.toLowerCase());

/** A member as it is best shown, by its name and what it holds. */
function Member({ name, value }: { name: string; value: unknown }): ComponentChildren {
  if (value === undefined || value === null || value === "") return null;
  if (/(State|Status)$/.test(name) && typeof value === "string") return <Badge status={value} />;
  if (/(Time|Date|At)$/.test(name) && (typeof value === "number" || typeof value === "string")) return value === 0 ? <span class="quiet">not known</span> : <Time at={value} />;
  if (/Bytes$/.test(name) && typeof value === "number") return bytes(value);
  if (typeof value === "string") return value.startsWith("arn:") ? <Arn arn={value} /> : name.endsWith("Policy") || name === "EventPattern" ? <Json text={value} /> : value;
  if (typeof value === "number") return value.toLocaleString();
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (Array.isArray(value) && value.every((v) => typeof v === "string")) return value.join(", ");
  return <Tree value={value} />;
}

function Json({ text }: { text: string }) {
  try { return <Tree value={JSON.parse(text)} />; } catch { return <>{text}</>; }
}

const column = (name: string): Column<Row> => ({
  name: words(name), cell: (r) => <Member name={name} value={r[name]} />, wide: /Arn$|Value|Description|Source|Target|Uri/.test(name),
  numeric: /(Count|Bytes|Version|Days)$/.test(name), sort: (r) => (typeof r[name] === "number" ? (r[name] as number) : String(r[name] ?? "")),
});

export default function Things({ rest }: { rest: string; params: URLSearchParams }) {
  const cut = rest.indexOf("/");
  const id = cut < 0 ? rest : rest.slice(0, cut);
  const kind = KINDS[id];
  if (!kind) return <Page title="There is no such page"><p><a href="#/">Overview</a></p></Page>;
  return cut < 0 ? <List id={id} kind={kind} /> : <One id={id} kind={kind} name={rest.slice(cut + 1)} />;
}

function List({ id, kind }: { id: string; kind: Kind }) {
  const loaded = useLoad(() => read(kind.list), [id], [kind.topic ?? kind.list.service]);
  return (
    <Page title={kind.title}>
      <Loaded of={loaded}>{({ items }) => <Table rows={items} label={kind.title} empty={`No ${inside(kind.one)} yet.`} columns={[
        { name: kind.one, wide: true, cell: (r) => <a href={link("things", `${id}/${String(r[kind.name])}`)}>{String(r[kind.name])}</a>, sort: (r) => String(r[kind.name]) },
        ...kind.columns.map(column),
      ]} />}</Loaded>
    </Page>
  );
}

const at = (value: unknown, place = ""): unknown => place.split(".").filter(Boolean).reduce<unknown>((inner, name) => (inner as Row | undefined)?.[name], value);

function One({ id, kind, name }: { id: string; kind: Kind; name: string }) {
  const loaded = useLoad(async () => {
    const asked = kind.describe!(name);
    const whole = at(await call<Row>(asked.service, asked.operation, asked.input), asked.place) as Row | undefined;
    if (!whole) throw new Error(`There is no ${inside(kind.one)} ${name}.`);
    return { whole };
  }, [id, name], [kind.topic ?? kind.list.service]);
  const act = (action: NonNullable<Kind["actions"]>[number]) => call(action.service, action.operation, action.input(name)).then(() => { say(`${action.title}: done`); loaded.again(); }, fail);
  return (
    <Page title={name} kind={kind.one} up={[kind.title, link("things", id)]} actions={kind.actions?.map((action) => <button onClick={() => act(action)}>{action.title}</button>)}>
      <Loaded of={loaded}>{({ whole }) => (
        <>
          <div class="card"><KeyValues of={Object.entries(whole).filter(([member, value]) => !["ResponseMetadata", "$metadata"].includes(member) && value !== "" && value !== null).map(([member, value]) => [words(member), <Member name={member} value={value} />])} /></div>
          {kind.note ? <p class="quiet">{kind.note}</p> : null}
          {kind.parts?.map((part) => <Belonging key={part.title} part={part} name={name} whole={whole} />)}
        </>
      )}</Loaded>
    </Page>
  );
}

function Belonging({ part, name, whole }: { part: Part; name: string; whole: Row }) {
  const of = part.list(name, whole);
  const loaded = useLoad(() => read(of), [JSON.stringify(of)], []);
  return <><h2>{part.title}</h2><Loaded of={loaded}>{({ items }) => <Table rows={items} label={part.title} empty={part.empty} columns={part.columns.map((name, at) => { const plain = column(name); const to = part.to; return at === 0 && to ? { ...plain, cell: (r: Row) => <a href={to(r)}>{String(r[name])}</a> } : plain; })} />}</Loaded></>;
}
