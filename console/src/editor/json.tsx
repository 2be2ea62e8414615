// JSON in the editor: marked while it is typed where it is no JSON, and where whoever is asked has something to say of it.

import { json, jsonParseLinter } from "@codemirror/lang-json";
import { syntaxTree } from "@codemirror/language";
import { type Diagnostic, linter, lintGutter } from "@codemirror/lint";
import type { EditorView } from "@codemirror/view";
import { useMemo, useRef } from "preact/hooks";
import { Editor, type EditorProps } from "./editor.tsx";

/** What is wrong, and where: a JSON Pointer, as ValidateStateMachineDefinition tells it (`/States/A/Next`). */
export interface Problem { severity: string; code: string; message: string; location?: string }

const PAUSE_MS = 350;

/** Where a pointer leads to in the text: the value's range. */
export function rangeOf(view: EditorView, pointer: string | undefined): { from: number; to: number } {
  const whole = { from: 0, to: Math.min(1, view.state.doc.length) };
  if (!pointer) return whole;
  let node = syntaxTree(view.state).topNode.firstChild;
  let found: { from: number; to: number } = whole;
  for (const part of pointer.split("/").slice(1).map((p) => p.replace(/~1/g, "/").replace(/~0/g, "~"))) {
    if (node?.name === "Object") {
      let inner = node.firstChild;
      let next = null;
      for (; inner; inner = inner.nextSibling) {
        const name = inner.name === "Property" ? inner.getChild("PropertyName") : null;
        if (!name) continue;
        let text = view.state.sliceDoc(name.from, name.to);
        try { text = JSON.parse(text) as string; } catch { /* as it is written */ }
        if (text === part) { found = { from: name.from, to: name.to }; next = inner.lastChild; break; }
      }
      node = next;
    } else if (node?.name === "Array") {
      let at = Number(part.replace(/^\[|\]$/g, ""));
      let inner = node.firstChild;
      for (; inner; inner = inner.nextSibling) {
        if (["[", "]", ",", "⚠"].includes(inner.name)) continue;
        if (at-- === 0) break;
      }
      node = inner;
      if (node) found = { from: node.from, to: node.to };
    }
    if (!node) return found;
  }
  return found;
}

export function JsonEditor(props: Omit<EditorProps, "language"> & { check?: (text: string) => Promise<Problem[]> }) {
  const check = useRef(props.check);
  check.current = props.check;
  const language = useMemo(() => {
    const syntax = jsonParseLinter();
    const lint = async (view: EditorView): Promise<Diagnostic[]> => {
      if (view.state.doc.toString().trim() === "") return [];
      const wrong = syntax(view);
      if (wrong.length > 0 || !check.current) return wrong;
      const found = await check.current(view.state.doc.toString());
      return found.map((p) => ({ ...rangeOf(view, p.location), severity: p.severity === "ERROR" ? "error" : "warning", source: p.code, message: p.message }));
    };
    return [json(), lintGutter(), linter(lint, { delay: PAUSE_MS })];
  }, []);
  return <Editor {...props} language={language} />;
}
