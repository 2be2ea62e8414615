// The one editor of the console: CodeMirror with the console's colours. SQL and JSON give it their language; it is fetched with the
// pages that edit.

import { autocompletion, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { bracketMatching, HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { Compartment, EditorState, type Extension, Prec } from "@codemirror/state";
import { EditorView, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { useEffect, useRef } from "preact/hooks";

const colours = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--accent)", fontWeight: "600" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--succeeded-line)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--caught-line)" },
  { tag: tags.propertyName, color: "var(--fg)", fontWeight: "600" },
  { tag: tags.typeName, color: "var(--aborted-line)" },
  { tag: tags.comment, color: "var(--quiet)", fontStyle: "italic" },
]);

export interface EditorProps {
  label: string;
  /** What it holds at first; later texts are dispatched by way of `view`. */
  text: string;
  language: Extension;
  onText?: (text: string) => void;
  /** Ctrl-Enter. */
  onRun?: () => void;
  view?: { current?: EditorView };
  height?: [string, string];
}

export function Editor(props: EditorProps) {
  const box = useRef<HTMLDivElement>(null);
  const own = useRef<EditorView | undefined>(undefined);
  const language = useRef(new Compartment());
  const now = useRef(props);
  now.current = props;
  useEffect(() => {
    const [least, most] = props.height ?? ["160px", "44vh"];
    const view = new EditorView({
      parent: box.current!,
      state: EditorState.create({
        doc: props.text,
        extensions: [
          lineNumbers(), history(), bracketMatching(), autocompletion(), syntaxHighlighting(colours),
          Prec.highest(keymap.of([{ key: "Mod-Enter", run: () => { now.current.onRun?.(); return now.current.onRun !== undefined; } }])),
          // Tab indents; Escape and then Tab leaves the editor.
          keymap.of([...completionKeymap, ...defaultKeymap, ...historyKeymap, indentWithTab]),
          language.current.of(props.language), EditorView.lineWrapping,
          EditorView.contentAttributes.of({ "aria-label": props.label, tabindex: "0" }),
          EditorView.updateListener.of((u) => { if (u.docChanged) now.current.onText?.(u.state.doc.toString()); }),
          EditorView.theme({ "&": { minHeight: least, maxHeight: most }, ".cm-scroller": { overflow: "auto" }, ".cm-gutters": { background: "transparent", color: "var(--quiet)", border: "0" }, "&.cm-focused": { outline: "2px solid var(--accent)" }, ".cm-content": { caretColor: "var(--fg)" }, ".cm-tooltip": { background: "var(--card)", color: "var(--fg)" } }, { dark: matchMedia("(prefers-color-scheme: dark)").matches }),
        ],
      }),
    });
    own.current = view;
    if (props.view) props.view.current = view;
    return () => view.destroy();
  }, []);
  useEffect(() => { own.current?.dispatch({ effects: language.current.reconfigure(props.language) }); }, [props.language]);
  return <div class="editor" ref={box} />;
}

/** Puts another text into an editor, as one step that can be undone. */
export function replace(view: EditorView | undefined, text: string): void {
  if (view && view.state.doc.toString() !== text) view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
}
