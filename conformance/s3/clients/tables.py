"""Clients that know tables: each writes, lists, reads, deletes, writes 30 MB in parts, at places with spaces, `+`, `%` and `=`, and writes
only where nobody else has, as far as it can. Prints `ok WHAT` or `FAILED WHAT: why` for each.
"""
import os
import sys
import traceback

import pyarrow as pa
from pyarrow import fs

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
KEY, SECRET = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
STORE = {"endpoint": ENDPOINT, "access_key_id": KEY, "secret_access_key": SECRET, "region": "us-east-1", "allow_http": "true"}
PLACES = ["plain", "a b", "a+b", "a%b", "a%20b", "day=2024-05-06", "ünï"]
#: Of clients whose places are addresses, to whom `a%20b` and `a b` are one.
ADDRESSES = [name for name in PLACES if name != "a%20b"]
SMALL = pa.table({"n": pa.array([1, 2, 3]), "text": ["a", None, "ü"]})
#: Numbers that no encoding makes small: 31 MB.
BIG = pa.table({"n": pa.array([at * 0x9E3779B97F4A7C15 % (1 << 63) for at in range(4_000_000)])})
arrow = fs.S3FileSystem(endpoint_override=ENDPOINT.split("://")[1], scheme="http", region="us-east-1")


def bucket(name):
    maker = fs.S3FileSystem(endpoint_override=ENDPOINT.split("://")[1], scheme="http", region="us-east-1", allow_bucket_creation=True)
    maker.create_dir(name)
    return name


def files(bucket):
    return sorted(one.path for one in arrow.get_file_info(fs.FileSelector(bucket, recursive=True)) if one.is_file)


def attempt(what, run):
    try:
        run()
        print(f"ok {what}")
    except Exception as error:  # noqa: BLE001 - told
        at = traceback.extract_tb(error.__traceback__)[-1]
        print(f"FAILED {what}: {type(error).__name__} at line {at.lineno}: {str(error)[:400]}".replace("\n", " "))


def polars():
    import polars as pl
    home = bucket("polars")
    options = {"aws_endpoint_url": ENDPOINT, "aws_allow_http": "true", "aws_region": "us-east-1"}

    def place(name):
        at = f"s3://{home}/{name}/t.parquet"
        pl.from_arrow(SMALL).write_parquet(at, storage_options=options)
        assert f"{home}/{name}/t.parquet" in files(home), files(home)
        assert pl.read_parquet(at, storage_options=options, glob=False).to_arrow().num_rows == 3

    for name in PLACES:
        attempt(f"write and read at {name}", lambda name=name: place(name))

    def listed():
        for at in range(3):
            pl.from_arrow(SMALL).write_parquet(f"s3://{home}/many/{at}.parquet", storage_options=options)
        assert pl.scan_parquet(f"s3://{home}/many/*.parquet", storage_options=options).collect().height == 9

    def large():
        pl.from_arrow(BIG).lazy().sink_parquet(f"s3://{home}/big.parquet", storage_options=options)
        assert pl.scan_parquet(f"s3://{home}/big.parquet", storage_options=options).select(pl.len()).collect().item() == BIG.num_rows
        found = pl.scan_parquet(f"s3://{home}/big.parquet", storage_options=options).filter(pl.col("n") < 1000).collect()
        assert found.equals(pl.from_arrow(BIG).filter(pl.col("n") < 1000))

    attempt("list", listed)
    attempt("30 MB in parts", large)


def duckdb():
    import duckdb
    import duckdb_ext
    home = bucket("duckdb")
    db = duckdb_ext.init(duckdb.connect())
    db.load_extension("httpfs")
    host = ENDPOINT.split("://")[1]
    db.execute(f"CREATE SECRET (TYPE s3, KEY_ID '{KEY}', SECRET '{SECRET}', REGION 'us-east-1', ENDPOINT '{host}', URL_STYLE 'path', USE_SSL false)")

    def place(name):
        at = f"s3://{home}/{name}/t.parquet"
        db.execute(f"COPY (SELECT range AS n FROM range(3)) TO '{at}'")
        assert f"{home}/{name}/t.parquet" in files(home), files(home)
        assert db.execute(f"SELECT count(*) FROM '{at}'").fetchone() == (3,)

    for name in PLACES:
        attempt(f"write and read at {name}", lambda name=name: place(name))

    def listed():
        db.execute(f"COPY (SELECT range % 3 AS part, range AS n FROM range(9)) TO 's3://{home}/many' (FORMAT parquet, PARTITION_BY part)")
        assert db.execute(f"SELECT count(*) FROM 's3://{home}/many/*/*.parquet' WHERE part = 1").fetchone() == (3,)
        assert db.execute(f"SELECT count(*) FROM glob('s3://{home}/many/**')").fetchone() == (3,)

    def large():
        db.register("big", BIG)
        db.execute(f"COPY big TO 's3://{home}/big.parquet'")
        assert db.execute(f"SELECT count(*), sum(n % 1000) FROM 's3://{home}/big.parquet'").fetchone() == db.execute(
            "SELECT count(*), sum(n % 1000) FROM big").fetchone()

    def kinds():
        db.execute(f"COPY (SELECT 1 AS a, 'x' AS b) TO 's3://{home}/one.csv.gz'")
        db.execute(f"COPY (SELECT 1 AS a, 'x' AS b) TO 's3://{home}/one.json'")
        assert db.execute(f"SELECT * FROM 's3://{home}/one.csv.gz'").fetchall() == [(1, "x")]
        assert db.execute(f"SELECT * FROM 's3://{home}/one.json'").fetchall() == [(1, "x")]

    attempt("list", listed)
    attempt("30 MB in parts", large)
    attempt("CSV and JSON", kinds)


def deltalake():
    from deltalake import DeltaTable, write_deltalake
    home = bucket("deltalake")
    options = {f"aws_{name}": value for name, value in STORE.items()} | {"aws_endpoint_url": ENDPOINT}

    def place(name):
        at = f"s3://{home}/{name}/t"
        for _ in range(2):
            write_deltalake(at, SMALL, mode="append", storage_options=options)
        assert any(path.startswith(f"{home}/{name}/t/_delta_log/") for path in files(home)), files(home)
        table = DeltaTable(at, storage_options=options)
        assert table.version() == 1 and pa.table(table.to_pyarrow_table()).num_rows == 6
        table.delete("n = 1")
        assert table.to_pyarrow_table().num_rows == 4

    for name in ADDRESSES:
        attempt(f"write, read and delete at {name}", lambda name=name: place(name))

    def parted():
        at = f"s3://{home}/parted"
        write_deltalake(at, pa.table({"p": ["a b", "a+b", "a%b", "a/b"], "n": [1, 2, 3, 4]}), partition_by=["p"], storage_options=options)
        table = DeltaTable(at, storage_options=options)
        assert table.to_pyarrow_table(filters=[("p", "=", "a+b")]).column("n").to_pylist() == [2]
        assert sorted(table.to_pyarrow_table().column("n").to_pylist()) == [1, 2, 3, 4]

    def large():
        write_deltalake(f"s3://{home}/big", BIG, storage_options=options)
        assert DeltaTable(f"s3://{home}/big", storage_options=options).to_pyarrow_table().num_rows == BIG.num_rows

    def contended():
        """Commits of several at once: each version is written by one."""
        from concurrent.futures import ThreadPoolExecutor
        at = f"s3://{home}/contended"
        write_deltalake(at, SMALL, storage_options=options)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: write_deltalake(at, SMALL, mode="append", storage_options=options), range(12)))
        table = DeltaTable(at, storage_options=options)
        assert table.version() == 12 and table.to_pyarrow_table().num_rows == 13 * 3, table.version()

    def vacuumed():
        at = f"s3://{home}/old"
        write_deltalake(at, SMALL, storage_options=options)
        write_deltalake(at, SMALL, mode="overwrite", storage_options=options)
        gone = DeltaTable(at, storage_options=options).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
        assert len(gone) == 1 and len([path for path in files(home) if path.startswith(f"{home}/old/part")]) == 1

    attempt("partitions of every name", parted)
    attempt("30 MB in parts", large)
    attempt("commits at once", contended)
    attempt("vacuum", vacuumed)


def pyiceberg():
    from pyiceberg.catalog.sql import SqlCatalog
    home = bucket("pyiceberg")
    settings = {"uri": "sqlite:///:memory:", "s3.endpoint": ENDPOINT, "s3.access-key-id": KEY, "s3.secret-access-key": SECRET, "s3.region": "us-east-1"}

    def place(name, io):
        catalog = SqlCatalog("c", **settings | {"warehouse": f"s3://{home}/{name}", "py-io-impl": io})
        catalog.create_namespace("d")
        table = catalog.create_table("d.t", SMALL.schema)
        table.append(SMALL)
        table.append(SMALL)
        assert any(path.startswith(f"{home}/{name}/d/t/data/") for path in files(home)), files(home)
        assert table.scan().to_arrow().num_rows == 6
        table.delete("n = 1")
        assert table.scan().to_arrow().num_rows == 4
        catalog.purge_table("d.t")
        assert not [path for path in files(home) if path.startswith(f"{home}/{name}/d/t/data/")]

    for at, io in enumerate(["pyiceberg.io.pyarrow.PyArrowFileIO", "pyiceberg.io.fsspec.FsspecFileIO"]):
        for name in PLACES if not at else ["a b"]:
            attempt(f"write, read and delete at {name}" + (" by s3fs" if at else ""), lambda name=name, io=io: place(name, io))

    def large():
        catalog = SqlCatalog("c", **settings | {"warehouse": f"s3://{home}/big"})
        catalog.create_namespace("d")
        table = catalog.create_table("d.t", BIG.schema)
        table.append(BIG)
        assert table.scan().to_arrow().num_rows == BIG.num_rows

    attempt("30 MB in parts", large)


def lance():
    import lance
    home = bucket("lance")
    options = {f"aws_{name}": value for name, value in STORE.items()} | {"allow_http": "true"}

    def place(name):
        at = f"s3://{home}/{name}/t.lance"
        lance.write_dataset(SMALL, at, storage_options=options)
        lance.write_dataset(SMALL, at, mode="append", storage_options=options)
        assert any(path.startswith(f"{home}/{name}/t.lance/") for path in files(home)), files(home)
        found = lance.dataset(at, storage_options=options)
        assert found.count_rows() == 6
        found.delete("n = 1")
        assert lance.dataset(at, storage_options=options).count_rows() == 4

    for name in ADDRESSES:
        attempt(f"write, read and delete at {name}", lambda name=name: place(name))

    def large():
        lance.write_dataset(BIG, f"s3://{home}/big.lance", storage_options=options)
        assert lance.dataset(f"s3://{home}/big.lance", storage_options=options).count_rows() == BIG.num_rows

    def contended():
        from concurrent.futures import ThreadPoolExecutor
        at = f"s3://{home}/contended.lance"
        lance.write_dataset(SMALL, at, storage_options=options)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: lance.write_dataset(SMALL, at, mode="append", storage_options=options), range(8)))
        assert lance.dataset(at, storage_options=options).count_rows() == 9 * 3

    attempt("30 MB in parts", large)
    attempt("commits at once", contended)


if __name__ == "__main__":
    {"polars": polars, "duckdb": duckdb, "deltalake": deltalake, "pyiceberg": pyiceberg, "lance": lance}[sys.argv[1]]()
