// Roles: who may take them, and what their policies give.

import { useState } from "preact/hooks";
import { all, call, pool } from "../api.ts";
import { link } from "../route.ts";
import { Arn, Badge, Failure, KeyValues, Loaded, Page, Table, Time, useLoad, Value } from "../ui.tsx";

interface Role { RoleName: string; Arn: string; CreateDate: number; AssumeRolePolicyDocument: string; Description?: string; MaxSessionDuration?: number }

export default function Roles({ rest }: { rest: string; params: URLSearchParams }) {
  return rest ? <One name={rest} /> : <List />;
}

const who = (role: Role): string => {
  const found = JSON.parse(decodeURIComponent(role.AssumeRolePolicyDocument)) as { Statement?: { Principal?: Record<string, string | string[]> | string }[] | { Principal?: Record<string, string | string[]> | string } };
  return [found.Statement ?? []].flat().flatMap((s) => (typeof s.Principal === "string" ? [s.Principal] : Object.values(s.Principal ?? {}).flat())).join(", ");
};

function List() {
  const loaded = useLoad(() => all<Role>("iam", "ListRoles", {}, "Roles", "Marker"), [], ["iam"]);
  return <Page title="Roles"><Loaded of={loaded}>{({ items }) => <Table rows={items} label="Roles" empty="No role yet." columns={[
    { name: "Role", cell: (r) => <a href={link("roles", r.RoleName)}>{r.RoleName}</a>, sort: (r) => r.RoleName, wide: true }, { name: "Taken by", wide: true, cell: who }, { name: "Made", cell: (r) => <Time at={r.CreateDate} />, sort: (r) => r.CreateDate },
  ]} />}</Loaded></Page>;
}

function One({ name }: { name: string }) {
  const loaded = useLoad(async () => {
    const of = { RoleName: name };
    const [{ Role }, inline, attached] = await Promise.all([call<{ Role: Role }>("iam", "GetRole", of), call<{ PolicyNames: string[] }>("iam", "ListRolePolicies", of), call<{ AttachedPolicies: { PolicyName: string; PolicyArn: string }[] }>("iam", "ListAttachedRolePolicies", of)]);
    const policies = await pool(inline.PolicyNames, 4, (PolicyName) => call<{ PolicyName: string; PolicyDocument: string }>("iam", "GetRolePolicy", { ...of, PolicyName }));
    return { role: Role, policies, attached: attached.AttachedPolicies };
  }, [name], ["iam"]);
  return (
    <Page title={name} kind="Role" up={["Roles", "#/roles"]}>
      <Loaded of={loaded}>{({ role, policies, attached }) => (
        <>
          <div class="card"><KeyValues of={[["ARN", <Arn arn={role.Arn} />], ["Description", role.Description], ["Made", <Time at={role.CreateDate} />]]} /><Value title="Who may take it" text={decodeURIComponent(role.AssumeRolePolicyDocument)} /></div>
          <h2>Policies</h2>
          {attached.map((p) => <p><Arn arn={p.PolicyArn} /></p>)}
          {policies.map((p) => <div class="card"><Value title={p.PolicyName} text={decodeURIComponent(p.PolicyDocument)} /></div>)}
          {attached.length + policies.length === 0 ? <p class="quiet">It may do nothing.</p> : null}
          <Simulate arn={role.Arn} />
        </>
      )}</Loaded>
    </Page>
  );
}

interface Evaluated { EvalActionName: string; EvalResourceName?: string; EvalDecision: string; MatchedStatements?: { SourcePolicyId?: string }[]; MissingContextValues?: string[] }

/** Whether the role may do something: SimulatePrincipalPolicy. */
function Simulate({ arn }: { arn: string }) {
  const [actions, setActions] = useState("s3:GetObject, s3:PutObject");
  const [resources, setResources] = useState("*");
  const [found, setFound] = useState<Evaluated[]>();
  const [error, setError] = useState<unknown>();
  const list = (text: string) => text.split(/[\s,]+/).filter(Boolean);
  const ask = (e: Event) => {
    e.preventDefault();
    setError(undefined);
    call<{ EvaluationResults: Evaluated[] }>("iam", "SimulatePrincipalPolicy", { PolicySourceArn: arn, ActionNames: list(actions), ResourceArns: list(resources) }).then((r) => setFound(r.EvaluationResults), setError);
  };
  return (
    <form onSubmit={ask}>
      <h2>May it?</h2>
      <div class="row"><label style="flex:1">Actions <input style="width:100%" value={actions} required onInput={(e) => setActions(e.currentTarget.value)} /></label><label style="flex:2">Resources <input style="width:100%" value={resources} required onInput={(e) => setResources(e.currentTarget.value)} /></label><button>Simulate</button></div>
      {error ? <Failure error={error} /> : null}
      {found ? <Table rows={found} label="Decisions" columns={[
        { name: "Action", cell: (r) => r.EvalActionName }, { name: "Resource", wide: true, cell: (r) => r.EvalResourceName ?? "*" },
        { name: "Decision", cell: (r) => <Badge status={r.EvalDecision === "allowed" ? "SUCCEEDED" : "FAILED"} /> }, { name: "Why", cell: (r) => ({ allowed: "allowed", explicitDeny: "denied by a statement", implicitDeny: "nothing allows it" })[r.EvalDecision] ?? r.EvalDecision },
        { name: "By", wide: true, cell: (r) => r.MatchedStatements?.map((s) => s.SourcePolicyId).filter(Boolean).join(", ") },
      ]} /> : null}
      {found ? <p class="quiet">Identity policies alone, without context keys of a request. A bucket's or key's own policy may say otherwise.</p> : null}
    </form>
  );
}
