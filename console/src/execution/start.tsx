// The form that starts an execution.

import type { EditorView } from "@codemirror/view";
import { useMemo, useRef, useState } from "preact/hooks";
import { replace } from "../editor/editor.tsx";
import { JsonEditor } from "../editor/json.tsx";
import { link } from "../route.ts";
import { duration } from "../time.ts";
import { Badge, Dialog, Failure, Value } from "../ui.tsx";
import { start, startSync, type Synchronous } from "./data.ts";

/** Of an Express machine the execution is waited for: nothing but its logs is kept of it afterwards. */
export function Start({ machine, input, express = false, onClose }: { machine: string; input: string; express?: boolean; onClose: () => void }) {
  const pretty = useMemo(() => { try { return JSON.stringify(JSON.parse(input), null, 2); } catch { return input; } }, [input]);
  const saved = `lakerun:input:${machine}`;
  const [text, setText] = useState(pretty);
  const [name, setName] = useState("");
  const view = useRef<EditorView | undefined>(undefined);
  const form = useRef<HTMLFormElement>(null);
  const [error, setError] = useState<unknown>();
  const submit = (e: Event) => {
    e.preventDefault();
    try { JSON.parse(text); } catch (wrong) { setError(new Error(`The input is not JSON: ${(wrong as Error).message}`)); return; }
    setError(undefined);
    localStorage.setItem(saved, text);
    if (express) {
      setAnswer("running");
      startSync(machine, text, name || undefined).then(setAnswer, (e) => { setAnswer(undefined); setError(e); });
      return;
    }
    start(machine, text, name || undefined).then((made) => {
      onClose();
      location.hash = link("execution", made.executionArn);
    }, setError);
  };
  const [answer, setAnswer] = useState<Synchronous | "running">();
  const last = localStorage.getItem(saved);
  const kept = `lakerun:inputs:${machine}`;
  const [inputs, setInputs] = useState<Record<string, string>>(() => JSON.parse(localStorage.getItem(kept) ?? "{}") as Record<string, string>);
  const keep = () => {
    const as = prompt("Keep this input as");
    if (!as) return;
    const next = { ...inputs, [as]: text };
    localStorage.setItem(kept, JSON.stringify(next));
    setInputs(next);
  };
  return (
    <Dialog title="Start an execution" onClose={onClose}>
      <form ref={form} onSubmit={submit}>
        <p><label>Name (one is made where you give none) <input value={name} onInput={(e) => setName(e.currentTarget.value)} /></label></p>
        <p class="title">Input (JSON)</p>
        <JsonEditor label="Input" text={text} view={view} onText={setText} onRun={() => form.current?.requestSubmit()} height={["120px", "40vh"]} />
        {error ? <Failure error={error} /> : null}
        {answer === "running" ? <p role="status"><Badge status="RUNNING" /> It is waited for, five minutes at most.</p> : answer ? <Answer of={answer} /> : null}
        <p class="row"><button class="primary" disabled={answer === "running"}>{express ? "Start and wait" : "Start"}</button><button type="button" onClick={onClose}>{answer ? "Close" : "Cancel"}</button>
          {last && last !== text ? <button type="button" class="quiet-button" onClick={() => replace(view.current, last)}>Use the last input</button> : null}
          <button type="button" class="quiet-button" onClick={keep}>Keep this input…</button>
          {Object.keys(inputs).length > 0 ? <label>Kept inputs <select value="" onChange={(e) => { const chosen = inputs[e.currentTarget.value]; if (chosen !== undefined) replace(view.current, chosen); }}><option value="">choose…</option>{Object.keys(inputs).map((name) => <option>{name}</option>)}</select></label> : null}</p>
      </form>
    </Dialog>
  );
}


function Answer({ of }: { of: Synchronous }) {
  return (
    <div role="status">
      <p><Badge status={of.status} /> <code>{of.name}</code> <span class="quiet">{duration(of.stopDate - of.startDate)}{of.billingDetails ? `, billed ${of.billingDetails.billedDurationInMilliseconds} ms × ${of.billingDetails.billedMemoryUsedInMB} MB` : ""}</span></p>
      {of.error || of.cause ? <p class="error"><b>{of.error}</b> {of.cause}</p> : null}
      <Value title="Output" text={of.output} />
    </div>
  );
}
