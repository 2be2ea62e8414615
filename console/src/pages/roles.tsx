// Roles: who may take them, and what their policies give.

import { all, call, pool } from "../api.ts";
import { link } from "../route.ts";
import { Arn, KeyValues, Loaded, Page, Table, Time, useLoad, Value } from "../ui.tsx";

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
        </>
      )}</Loaded>
    </Page>
  );
}
