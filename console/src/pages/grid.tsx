// The rows of a result: read page by page as they come into sight, made only where they are in sight, and sorted when all are read.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Empty, Virtual } from "../ui.tsx";

export type Cells = (string | undefined)[];
export interface Column { Name: string; Type: string }

/** To sort, all rows are read, but no more than these: a browser has to hold them. */
export const SORTED_MOST = 200_000;

const ROW = 30;
/** So near to the end of what is read, more is read. */
const NEAR = 20;

export const isNumber = (type: string): boolean => /int|double|float|decimal|real/.test(type);

/** NULL is the least, as AWS's console shows it. */
function order(rows: Cells[], at: number, numeric: boolean, down: boolean): Cells[] {
  const key = (row: Cells) => (row[at] === undefined ? undefined : numeric ? Number(row[at]) : row[at]);
  const compare = (a: Cells, b: Cells): number => {
    const [x, y] = [key(a), key(b)];
    if (x === undefined || y === undefined) return x === y ? 0 : x === undefined ? -1 : 1;
    return x < y ? -1 : x > y ? 1 : 0;
  };
  return [...rows].sort((a, b) => compare(a, b) * (down ? -1 : 1));
}

interface Props { rows: Cells[]; columns: Column[]; /** Reads the next page; there is none where it is left out. */ more?: () => void; /** Reads what is left, up to `SORTED_MOST`. */ rest: () => Promise<void> }

export function Grid({ rows, columns, more, rest }: Props) {
  const [by, setBy] = useState<{ column: number; down: boolean }>();
  const [reading, setReading] = useState(false);
  const near = useRef(0);
  const sorted = useMemo(() => (by ? order(rows, by.column, isNumber(columns[by.column]!.Type), by.down) : rows), [rows, by]);
  useEffect(() => { near.current = 0; }, [rows]);
  const sort = async (column: number) => {
    setReading(true);
    try { if (more) await rest(); } finally { setReading(false); }
    setBy({ column, down: by?.column === column ? !by.down : isNumber(columns[column]!.Type) });
  };
  if (rows.length === 0) return <Empty>No rows.</Empty>;
  const widths = { gridTemplateColumns: `repeat(${columns.length}, minmax(130px, 1fr))`, minWidth: `${columns.length * 130}px` };
  const head = (
    <div class="grid-line head" role="row" style={widths}>
      {columns.map((c, at) => (
        <span role="columnheader" class={isNumber(c.Type) ? "number" : ""} aria-sort={by?.column === at ? (by.down ? "descending" : "ascending") : undefined}>
          <button class="sort" title={c.Type} disabled={reading} onClick={() => void sort(at)}>{c.Name}{by?.column === at ? (by.down ? " ↓" : " ↑") : ""}</button>
        </span>
      ))}
    </div>
  );
  const seen = (to: number) => { if (more && !by && to >= rows.length - NEAR && near.current !== rows.length) { near.current = rows.length; more(); } };
  return (
    <>
      {reading ? <p role="status">Reading all rows, to sort them: {rows.length.toLocaleString()} so far…</p> : null}
      {by && more && !reading ? <p class="cut" role="status">Sorted are the first {rows.length.toLocaleString()} rows, and there are more: ORDER BY sorts all.</p> : null}
      <Virtual rows={sorted} height={ROW} label="Result" table={columns.length} head={head} seen={seen} row={(row) => (
        <div class="grid-line" style={widths} role="presentation">
          {columns.map((c, at) => <span role="cell" class={isNumber(c.Type) ? "number" : ""} title={row[at]}>{row[at] ?? <i class="quiet">NULL</i>}</span>)}
        </div>
      )} />
    </>
  );
}
