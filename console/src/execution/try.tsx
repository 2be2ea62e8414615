// A state tried alone (TestState): with another input, another definition, an answer instead of its call; each step of its data shown.

import { useMemo, useState } from "preact/hooks";
import { call } from "../api.ts";
import { JsonEditor } from "../editor/json.tsx";
import { Badge, Failure, KeyValues, parsed, Value } from "../ui.tsx";
import type { State } from "./graph.ts";

interface Tested { status: string; output?: string; error?: string; cause?: string; nextState?: string; inspectionData?: Record<string, unknown> }

/** The steps of a state's data, in their order. Source: API Reference, InspectionData. */
const STEPS: [string, string][] = [
  ["afterInputPath", "After InputPath"], ["afterItemsPath", "After ItemsPath"], ["afterItemSelector", "After ItemSelector"], ["afterParameters", "After Parameters"], ["afterArguments", "After Arguments"],
  ["result", "Result"], ["afterResultSelector", "After ResultSelector"], ["afterResultPath", "After ResultPath"], ["variables", "Variables"],
];

/** What calls something else; it is asked whether it does, or gets an answer that is written here. */
const CALLS = new Set(["Task", "Map", "Parallel"]);

const pretty = (text: string | undefined, otherwise: string): string => {
  if (text === undefined) return otherwise;
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
};

interface Props { name: string; state: State; language?: string; role?: string; input?: string; answer?: string; context: object }

export function Try({ name, state, language, role, input, answer, context }: Props) {
  const first = useMemo(() => JSON.stringify({ ...(language ? { QueryLanguage: language } : {}), ...state }, null, 2), [name]);
  const [definition, setDefinition] = useState(first);
  const [given, setGiven] = useState(pretty(input, "{}"));
  const [mock, setMock] = useState(pretty(answer, "{}"));
  const [mocked, setMocked] = useState(CALLS.has(state.Type));
  const [variables, setVariables] = useState("{}");
  const [about, setAbout] = useState(JSON.stringify(context, null, 2));
  const [tested, setTested] = useState<Tested>();
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const calls = CALLS.has(state.Type);
  const run = async () => {
    setBusy(true);
    setError(undefined);
    try {
      setTested(await call<Tested>("states", "TestState", {
        definition, input: given, inspectionLevel: "DEBUG", ...(parsed(variables) && variables.trim() !== "{}" ? { variables } : {}),
        ...(calls && mocked ? { mock: { result: mock }, context: about } : role ? { roleArn: role } : {}),
      }));
    } catch (e) { setTested(undefined); setError(e); } finally { setBusy(false); }
  };
  const editor = (label: string, text: string, onText: (text: string) => void) => <><p class="title">{label}</p><JsonEditor label={`${label} of the trial`} text={text} onText={onText} onRun={() => void run()} height={["60px", "30vh"]} /></>;
  return (
    <div class="trial">
      {editor("Input", given, setGiven)}
      {calls ? (
        <p class="row" role="group" aria-label="What it calls">
          <label><input type="radio" name="mock" checked={mocked} onChange={() => setMocked(true)} /> takes this answer</label>
          {state.Type === "Task" ? <label><input type="radio" name="mock" checked={!mocked} onChange={() => setMocked(false)} /> is called, as <code>{role?.split("/").pop()}</code></label> : null}
        </p>
      ) : null}
      {calls && mocked ? editor("Answer", mock, setMock) : null}
      <details><summary>Definition, variables{calls && mocked ? ", context" : ""}</summary>
        {editor("Definition", definition, setDefinition)}
        {editor("Variables", variables, setVariables)}
        {calls && mocked ? editor("Context", about, setAbout) : null}
      </details>
      <p><button class="primary" disabled={busy} onClick={() => void run()}>{busy ? "Trying…" : "Try it"}</button> <span class="quiet">Nothing of it is kept.</span></p>
      {error ? <Failure error={error} /> : null}
      {tested ? (
        <div role="group" aria-label="What came of the trial">
          <KeyValues of={[["Status", <Badge status={tested.status} />], ["Next state", tested.nextState]]} />
          {tested.error || tested.cause ? <p class="error"><b>{tested.error}</b> {tested.cause}</p> : null}
          <Value title="Output" text={tested.output} before={parsed(given)} compared />
          <details><summary>Each step of its data</summary>{STEPS.map(([member, title]) => { const value = tested.inspectionData?.[member]; return typeof value === "string" ? <Value key={member} title={title} text={value} /> : null; })}</details>
        </div>
      ) : null}
    </div>
  );
}
