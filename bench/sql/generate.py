#!/usr/bin/env python3
"""generate.py FOLDER SUITE SCALE: the tables of TPC-H or TPC-DS as Parquet, and the queries, by DuckDB's own extensions.

Wants duckdb==1.5.5, duckdb-extension-tpch==1.5.5 and duckdb-extension-tpcds==1.5.5 from PyPI (the newest that have the extensions);
`run.py` makes an environment of them.
"""
import importlib.util
import json
import pathlib
import sys

import duckdb

folder, suite, scale = pathlib.Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
assert suite in ("tpch", "tpcds"), suite
package = pathlib.Path(importlib.util.find_spec(f"duckdb_extension_{suite}").origin).parent
database = duckdb.connect(config={"allow_unsigned_extensions": "true"})
database.execute(f"LOAD '{next(package.rglob('*.duckdb_extension'))}'")
database.execute(f"CALL {'dbgen' if suite == 'tpch' else 'dsdgen'}(sf = {scale})")
folder.mkdir(parents=True, exist_ok=True)
for (table,) in database.execute("SELECT table_name FROM information_schema.tables ORDER BY 1").fetchall():
    database.execute(f"COPY {table} TO '{folder / table}.parquet' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)")
queries = {int(number): text for number, text in database.execute(f"SELECT query_nr, query FROM {suite}_queries()").fetchall()}
(folder / "queries.json").write_text(json.dumps(queries, indent=1))
