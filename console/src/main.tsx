// The console: who is signed in, the navigation, the palette, and the page that the address names. Pages but the first are
// fetched when they are first shown.

import { type ComponentType, render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { cut, session, signIn, signOut, whoAmI, type Session } from "./api.ts";
import { Palette } from "./palette.tsx";
import Overview from "./pages/overview.tsx";
import { arnLink, type Route, useRoute } from "./route.ts";
import { Failure, Loading, Page, Toasts } from "./ui.tsx";
import "./app.css";

type View = ComponentType<{ rest: string; params: URLSearchParams }>;
const lazy = (fetch: () => Promise<{ default: View }>) => fetch;

const PAGES: Record<string, () => Promise<{ default: View }>> = {
  machines: lazy(() => import("./pages/machines.tsx")),
  machine: lazy(() => import("./pages/machine.tsx")),
  execution: lazy(() => import("./execution/view.tsx")),
  "map-run": lazy(() => import("./pages/maprun.tsx")),
  compare: lazy(() => import("./pages/compare.tsx")),
  lake: lazy(() => import("./pages/lake.tsx")),
  lineage: lazy(() => import("./pages/lineage.tsx")),
  sql: lazy(() => import("./pages/sql.tsx")),
  functions: lazy(() => import("./pages/functions.tsx")),
  costs: lazy(() => import("./pages/spent.tsx")),
  jobs: lazy(() => import("./pages/jobs.tsx")),
  models: lazy(() => import("./pages/models.tsx")),
  alarms: lazy(() => import("./pages/alarms.tsx")),
  audit: lazy(() => import("./pages/audit.tsx")),
  tables: lazy(() => import("./pages/tables.tsx")),
  queues: lazy(() => import("./pages/queues.tsx")),
  topics: lazy(() => import("./pages/topics.tsx")),
  rules: lazy(() => import("./pages/rules.tsx")),
  stacks: lazy(() => import("./pages/stacks.tsx")),
  roles: lazy(() => import("./pages/roles.tsx")),
  things: lazy(() => import("./pages/things.tsx")),
  secrets: lazy(() => import("./pages/secrets.tsx")),
  logs: lazy(() => import("./pages/logs.tsx")),
  metrics: lazy(() => import("./pages/metrics.tsx")),
};

export const NAVIGATION: [string, [string, string][]][] = [
  ["Pipelines", [["", "Overview"], ["machines", "State machines"]]],
  ["Data", [["lake", "Lake"], ["lineage", "Lineage"], ["sql", "SQL"], ["things/workgroups", "Workgroups"], ["tables", "Tables' items"]]],
  ["Compute", [["functions", "Functions"], ["jobs", "Jobs and crawlers"], ["models", "Models"], ["things/repositories", "Image repositories"]]],
  ["Messages", [["queues", "Queues"], ["topics", "Topics"], ["rules", "Schedules and rules"], ["things/pipes", "Pipes"], ["things/buses", "Event buses"], ["things/replays", "Replays"], ["things/destinations", "API destinations"], ["things/connections", "Connections"]]],
  ["Watch", [["logs", "Logs"], ["metrics", "Metrics"], ["alarms", "Alarms"], ["audit", "Audit"], ["costs", "Costs"]]],
  ["Set up", [["stacks", "Stacks"], ["roles", "Roles"], ["secrets", "Secrets"], ["things/parameters", "Parameters"], ["things/keys", "Keys"]]],
];

/** Which entry of the navigation a page belongs to. */
const HOME: Record<string, string> = { machine: "machines", execution: "machines", "map-run": "machines", compare: "machines" };

function SignIn({ onDone, said }: { onDone: (who: Session) => void; said?: string }) {
  const [error, setError] = useState<unknown>(said ? new Error(said) : undefined);
  useEffect(() => { document.title = "Sign in · Lakerun"; }, []);
  const submit = (e: Event) => {
    e.preventDefault();
    const form = new FormData(e.currentTarget as HTMLFormElement);
    signIn({ accessKey: String(form.get("access")), secretKey: String(form.get("secret")) }).then(onDone, setError);
  };
  return (
    <main>
      <form class="signin" onSubmit={submit}>
        <h1>Lakerun</h1>
        <p class="quiet"><code>lakerun open</code> opens a page that is signed in; or use access keys.</p>
        <label>Access key <input name="access" autocomplete="username" required /></label>
        <label>Secret key <input name="secret" type="password" autocomplete="current-password" required /></label>
        {error ? <Failure error={error} /> : null}
        <button class="primary">Sign in</button>
      </form>
    </main>
  );
}

function Side({ route, who, onOut }: { route: Route; who: Session; onOut: () => void }) {
  const [open, setOpen] = useState(false);
  useEffect(() => setOpen(false), [route.page, route.rest]);
  const here = route.page === "things" ? `things/${route.rest.split("/")[0]}` : (HOME[route.page] ?? route.page);
  return (
    <nav class="side" aria-label="Pages">
      <a class="brand" href="#/">Lakerun</a>
      <button class="menu" aria-expanded={open} onClick={() => setOpen(!open)}>Menu</button>
      <div class={open ? "links open" : "links"}>
        {NAVIGATION.map(([group, pages]) => (
          <div key={group}>
            <h2>{group}</h2>
            {pages.map(([page, name]) => <a key={page} href={`#/${page}`} aria-current={here === page ? "page" : undefined}>{name}</a>)}
          </div>
        ))}
        <div class="who">
          <p>{who.principal}<br />{who.region} · {who.version}</p>
          <p><kbd>Ctrl</kbd> <kbd>K</kbd> finds anything</p>
          <button class="quiet-button" onClick={() => void signOut().then(onOut)}>Sign out</button>
        </div>
      </div>
    </nav>
  );
}

const known = new Map<string, View>();

function Shown({ route }: { route: Route }) {
  const [, setLoaded] = useState(0);
  const last = useRef("");
  const [error, setError] = useState<unknown>();
  const fetch = PAGES[route.page];
  const page = route.page === "" ? Overview : known.get(route.page);
  useEffect(() => {
    setError(undefined);
    if (page || !fetch) return;
    fetch().then((module) => { known.set(route.page, module.default); setLoaded((n) => n + 1); }, setError);
  }, [route.page]);
  // What `lakerun open ARN` opens.
  const named = route.page === "arn" ? arnLink(route.rest) : undefined;
  useEffect(() => { if (named) location.replace(named); }, [named]);
  if (route.page === "arn") return named ? <Loading /> : <Page title="No page shows this"><p>The console has no page for <code>{route.rest}</code>. <a href="#/">Overview</a></p></Page>;
  if (route.page !== "" && !fetch) return <Page title="There is no such page"><p>Nothing is at <code>{location.hash}</code>. <a href="#/">Overview</a></p></Page>;
  if (error) return <Failure error={error} retry={() => location.reload()} />;
  const View = page;
  // What was cut belongs to the page that was left.
  const at = `${route.page}/${route.rest}`;
  if (last.current !== at) { last.current = at; cut.lists.clear(); }
  return View ? <View key={`${route.page}/${route.rest}`} rest={route.rest} params={route.params} /> : <Loading />;
}

function App() {
  const route = useRoute();
  const [who, setWho] = useState<Session | null>();
  const [said, setSaid] = useState<string>();
  useEffect(() => {
    session.lost = () => setWho(null);
    const link = /^#token=([^&]+)(?:&to=(.*))?$/.exec(location.hash);
    const entering = link ? signIn({ token: link[1]! }) : whoAmI();
    entering.then(setWho, (e: Error & { status?: number }) => {
      if (link) setSaid(e.message);
      else if (e.status !== 401) setSaid(e.message);
      // An old link of somebody whose session is good is as good as none.
      if (link) whoAmI().then(setWho, () => setWho(null)); else setWho(null);
    }).finally(() => { if (link) location.replace(`#${decodeURIComponent(link[2] ?? "/")}`); });
  }, []);
  useEffect(() => { scrollTo(0, 0); }, [route.page, route.rest]);
  session.who = who ?? undefined;
  if (who === undefined) return <main><Loading /></main>;
  if (who === null) return <SignIn said={said} onDone={setWho} />;
  return (
    <>
      <a class="skip" href="#content" onClick={(e) => { e.preventDefault(); document.getElementById("content")?.focus(); }}>Skip to the content</a>
      <div class="shell">
        <Side route={route} who={who} onOut={() => setWho(null)} />
        <main id="content" tabIndex={-1}><Shown route={route} /></main>
      </div>
      <Palette />
      <Toasts />
    </>
  );
}

const root = document.getElementById("app")!;
root.replaceChildren();
render(<App />, root);
