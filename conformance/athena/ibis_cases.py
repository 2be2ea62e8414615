"""Ibis over Athena: tables from data frames, expressions, views, memtables, catalogs and databases."""
import datetime
import functools
import os

import pyarrow.fs

# PyAthena opens pyarrow's file system without an endpoint, and pyarrow does not look for one in the environment.
pyarrow.fs.S3FileSystem = functools.partial(pyarrow.fs.S3FileSystem, endpoint_override=os.environ["AWS_ENDPOINT_URL"])

import ibis  # noqa: E402
import pandas as pd  # noqa: E402
from checks import BUCKET, DATABASE, case, check, close, place

place()
con = ibis.athena.connect(s3_staging_dir=f"s3://{BUCKET}/staging/", region_name="us-east-1", schema_name=DATABASE)
ORDERS = pd.DataFrame({
    "id": [1, 2, 3, 4],
    "customer": ["ann", "bob", None, "ann"],
    "amount": [5.0, 7.5, 1.25, None],
    "day": [datetime.date(2020, 1, 1), datetime.date(2020, 1, 15), datetime.date(2020, 2, 1), datetime.date(2020, 3, 1)],
})


@case
def where():
    check("current_catalog", con.current_catalog.lower() == "awsdatacatalog", con.current_catalog)
    check("current_database", con.current_database == DATABASE, con.current_database)
    check("list_catalogs", "awsdatacatalog" in [c.lower() for c in con.list_catalogs()], con.list_catalogs())
    check("list_databases", DATABASE in con.list_databases(), con.list_databases())


@case
def tables():
    t = con.create_table("orders", ORDERS)
    check("schema", list(t.columns) == ["id", "customer", "amount", "day"], t.schema())
    check("list_tables", "orders" in con.list_tables(), con.list_tables())
    check("count", t.count().execute() == 4)
    got = t.order_by("id").execute()
    check("rows", got.id.tolist() == [1, 2, 3, 4] and got.customer.tolist()[:2] == ["ann", "bob"], got)
    new = con.create_table("derived", t.filter(t.amount > 2).select("id", double=t.amount * 2))
    check("ctas", sorted(new.execute().double.tolist()) == [10.0, 15.0], new.execute())


@case
def expressions():
    t = con.table("orders")
    by = t.group_by("customer").agg(n=t.count(), total=t.amount.sum(), last=t.day.max()).order_by(ibis.asc("customer")).execute()
    check("group", by.n.tolist() == [2, 1, 1], by)
    w = ibis.window(group_by="customer", order_by="id")
    win = t.mutate(rn=ibis.row_number().over(w), prev=t.amount.lag().over(w), cum=t.amount.sum().over(w)).order_by("id").execute()
    check("window", win.rn.tolist() == [0, 0, 0, 1], win)
    s = t.select(u=t.customer.upper(), y=t.day.year(), m=t.day.truncate("M"), c=t.customer.fill_null("?"), l=t.customer.length(), has=t.customer.contains("n")).execute()
    check("scalars", s.y.tolist() == [2020] * 4, s)
    j = t.join(t.view(), "customer").count().execute()
    check("join", j == 5, j)
    d = t.distinct().count().execute()
    check("distinct", d == 4, d)
    cs = t.select(x=ibis.cases((t.amount > 5, "big"), else_="small")).execute()
    check("cases", sorted(cs.x) == ["big", "small", "small", "small"], cs)
    un = t.union(t).count().execute()
    check("union", un == 8, un)
    check("nunique", t.customer.nunique().execute() == 2)
    check("median", t.amount.approx_median().execute() is not None)
    check("std", abs(t.amount.std().execute() - 3.1457643) < 1e-5, t.amount.std().execute())
    check("collect", sorted(x for x in t.customer.collect().execute() if x) == ["ann", "ann", "bob"])
    check("arrow", t.to_pyarrow().num_rows == 4)
    ts = ibis.literal(datetime.datetime(2020, 1, 1, 10)).truncate("h")
    check("timestamp", con.execute(ts) == pd.Timestamp("2020-01-01 10:00:00"), con.execute(ts))
    check("array", con.execute(ibis.array([1, 2, 3]).length()) == 3)
    check("map", con.execute(ibis.map({"a": 1})["a"]) == 1)
    check("decimal", str(con.execute(ibis.literal(1.5).cast("decimal(10,2)"))) == "1.50")
    check("sql", con.sql("SELECT 1 AS x").execute().x.tolist() == [1])


@case
def memtable():
    m = ibis.memtable({"k": ["ann", "bob"], "v": [1, 2]})
    t = con.table("orders")
    joined = con.to_pandas(t.join(m, t.customer == m.k).select("id", "v").order_by("id"))
    check("memtable", joined.v.tolist() == [1, 2, 1], joined)


@case
def views():
    t = con.table("orders")
    v = con.create_view("big", t.filter(t.amount > 5))
    check("view", v.execute().id.tolist() == [2], v.execute())
    con.create_view("big", t.filter(t.amount > 1), overwrite=True)
    check("replaced", con.table("big").count().execute() == 3)
    con.drop_view("big")
    con.drop_table("derived")
    check("gone", "derived" not in con.list_tables(), con.list_tables())


@case
def databases():
    name = DATABASE + "_x"
    con.create_database(name, location=f"s3://{BUCKET}/{name}/")
    check("made", name in con.list_databases())
    con.create_table("t", pd.DataFrame({"a": [1]}), database=name)
    check("there", con.table("t", database=name).count().execute() == 1)
    con.drop_table("t", database=name)
    con.drop_database(name)
    check("dropped", name not in con.list_databases())


close()
