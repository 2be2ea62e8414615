// A state machine's definition: text and graph side by side, checked by the server while it is typed.

import type { EditorView } from "@codemirror/view";
import { useRef, useState } from "preact/hooks";
import { call } from "../api.ts";
import { replace } from "../editor/editor.tsx";
import { JsonEditor, type Problem, rangeOf } from "../editor/json.tsx";
import { Graph } from "../execution/graphview.tsx";
import type { Machine as Definition } from "../execution/graph.ts";
import { Arn, Copy, fail, KeyValues, say, Time } from "../ui.tsx";
import type { Described } from "./machine.tsx";

export function Defined({ of, onSaved }: { of: Described; onSaved: () => void }) {
  const [text, setText] = useState(of.definition);
  const [found, setFound] = useState<Problem[]>([]);
  const [drawn, setDrawn] = useState<Definition>(() => JSON.parse(of.definition) as Definition);
  const [selected, setSelected] = useState<string>();
  const view = useRef<EditorView | undefined>(undefined);
  const check = async (typed: string): Promise<Problem[]> => {
    const answer = await call<{ result: string; diagnostics: Problem[] }>("states", "ValidateStateMachineDefinition", { definition: typed, type: of.type }).catch((e: Error) => ({ result: "FAIL", diagnostics: [{ severity: "ERROR", code: "", message: e.message }] as Problem[] }));
    setFound(answer.diagnostics);
    if (answer.result === "OK") setDrawn(JSON.parse(typed) as Definition);
    return answer.diagnostics;
  };
  const isJson = (() => { try { JSON.parse(text); return true; } catch { return false; } })();
  const save = () => call("states", "UpdateStateMachine", { stateMachineArn: of.stateMachineArn, definition: text }).then(() => { say("Saved: executions that start from now on follow it"); onSaved(); }, fail);
  const pretty = () => { try { replace(view.current, JSON.stringify(JSON.parse(text), null, 2)); } catch (e) { fail(e); } };
  // A state that is picked in the graph is shown in the text.
  const pick = (name: string) => {
    setSelected(name);
    const editor = view.current;
    const at = editor?.state.doc.toString().indexOf(`${JSON.stringify(name)}:`) ?? -1;
    if (editor && at >= 0) { editor.dispatch({ selection: { anchor: at }, scrollIntoView: true }); editor.focus(); }
  };
  const show = (problem: Problem) => {
    const editor = view.current;
    if (editor) { editor.dispatch({ selection: { anchor: rangeOf(editor, problem.location).from }, scrollIntoView: true }); editor.focus(); }
  };
  return (
    <div class="halves">
      <div>
        <p class="title">Definition (Amazon States Language)</p>
        <JsonEditor label="Definition" text={of.definition} view={view} onText={setText} onRun={save} check={check} height={["360px", "64vh"]} />
        <p class="row"><button class="primary" disabled={text === of.definition || !isJson || found.some((d) => d.severity === "ERROR")} onClick={save}>Save</button><button onClick={pretty}>Format</button><button disabled={text === of.definition} onClick={() => replace(view.current, of.definition)}>Undo</button><Copy text={text} /></p>
        <div role="status" aria-live="polite">{!isJson ? <p class="error">This is not JSON yet.</p> : found.map((d) => <p class={d.severity === "ERROR" ? "error" : "quiet"}><b>{d.code}</b> {d.message} {d.location ? <button class="quiet-button" onClick={() => show(d)}>{d.location}</button> : null}</p>)}</div>
        <KeyValues of={[["Role", <Arn arn={of.roleArn} />], ["Made", <Time at={of.creationDate} />], ["Revision", of.revisionId], ["Logging", of.loggingConfiguration?.level]]} />
      </div>
      <Graph machine={drawn} summaries={new Map()} selected={selected} onSelect={pick} />
    </div>
  );
}
