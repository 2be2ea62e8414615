// The prices that amounts are multiplied with, and the pages that they were checked against.

import { Table } from "../ui.tsx";
import { prices } from "./prices.ts";

export const Prices = () => (
  <details><summary>Prices: {prices.region}, checked on {prices.checked}</summary><Table rows={Object.values(prices.prices)} label="Prices" columns={[{ name: "USD", numeric: true, cell: (p) => p.usd }, { name: "for a", cell: (p) => p.per },
    { name: "by", cell: (p) => p.sources.map((s) => <div key={s.source}><a href={s.source} rel="noreferrer">{new URL(s.source).host}</a> <span class="quiet">({s.date}) {s.says}</span></div>) }]} /><p class="quiet">{prices.note}</p></details>
);
