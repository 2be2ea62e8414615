// Secrets by name. Their values are not fetched: a page is not the place for them.

import { all } from "../api.ts";
import { Arn, Loaded, Page, Table, Time, useLoad } from "../ui.tsx";

interface Secret { Name: string; ARN: string; Description?: string; LastChangedDate?: number; LastAccessedDate?: number; DeletedDate?: number }

export default function Secrets() {
  const loaded = useLoad(() => all<Secret>("secretsmanager", "ListSecrets", {}, "SecretList", "NextToken"), [], ["secretsmanager"]);
  return <Page title="Secrets" note={<p class="quiet">Names only: values are read by what may read them.</p>}><Loaded of={loaded}>{({ items }) => <Table rows={items} label="Secrets" empty="No secret yet." columns={[
    { name: "Secret", cell: (s) => s.Name, sort: (s) => s.Name }, { name: "Description", cell: (s) => s.Description }, { name: "Changed", cell: (s) => <Time at={s.LastChangedDate} />, sort: (s) => s.LastChangedDate ?? 0 }, { name: "ARN", wide: true, cell: (s) => <Arn arn={s.ARN} /> },
  ]} />}</Loaded></Page>;
}
