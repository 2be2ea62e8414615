// Who asked for what ran, and what it asked for in turn, as the server's lineage knows it: links from a child to its parent and back.

import { KeyValues, useLoad } from "../ui.tsx";
import { asked, KINDS, lineage, type LineageNode, nodeLink } from "./linked.ts";

/** So many of what was started are links here; that there are more is said. */
const SHOWN = 50;

const Node = ({ node }: { node: LineageNode }) => <div><span class="quiet">{KINDS[node.Type] ?? node.Type}</span> <a href={nodeLink(node)}>{node.Name}</a></div>;

/** `worker`: an execution's ARN, or a job's id in the lineage. `again`: what changes when it may have started more. */
export function Origin({ worker, again }: { worker: string; again?: unknown }) {
  const { value } = useLoad(async () => { const graph = await lineage(worker, "FOLDER", "UPSTREAM", 1); return { ...asked(graph, worker), truncated: graph.Truncated }; }, [worker, again]);
  // Those who may not read the lineage see no less of the rest of the page.
  if (!value) return null;
  const { by, principal, started, truncated } = value;
  return (
    <KeyValues of={[
      ["Asked for by", by.length > 0 || principal ? <>{by.map((node) => <Node key={node.Id} node={node} />)}{principal ? <div class="quiet">{principal.split(":").slice(5).join(":") || principal}</div> : null}</> : ""],
      ["Started", started.length > 0 ? <>{started.slice(0, SHOWN).map((node) => <Node key={node.Id} node={node} />)}{started.length > SHOWN || truncated ? <div class="quiet">{started.length > SHOWN ? `${started.length - SHOWN} more` : "and others"}, which the states that started them name</div> : null}</> : ""],
    ]} />
  );
}
