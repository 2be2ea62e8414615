"""awswrangler: queries in its three ways, tables written from frames, Iceberg, the catalog."""
import awswrangler as wr
import boto3
import pandas as pd

from checks import BUCKET, DATABASE, case, check, close, place

place()
boto3.setup_default_session(region_name="us-east-1")
PATH = f"s3://{BUCKET}/wr"
OUT = f"s3://{BUCKET}/results/"
FRAME = pd.DataFrame({"id": [1, 2, 3], "name": ["a", None, "c"], "d": pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03"]), "p": ["x", "x", "y"]})


@case
def written_and_read():
    wr.s3.to_parquet(FRAME, path=f"{PATH}/t/", dataset=True, database=DATABASE, table="t", partition_cols=["p"], glue_table_settings={"description": "d", "columns_comments": {"id": "the id"}})
    for way in (dict(ctas_approach=True), dict(ctas_approach=False, unload_approach=True, s3_output=f"{OUT}unload/"), dict(ctas_approach=False)):
        frame = wr.athena.read_sql_query("SELECT * FROM t ORDER BY id", database=DATABASE, **{"s3_output": OUT, **way})
        check(f"read {way}", frame["id"].tolist() == [1, 2, 3] and frame["name"].isna().tolist() == [False, True, False], frame)
    wr.s3.to_parquet(FRAME[:1], path=f"{PATH}/t/", dataset=True, database=DATABASE, table="t", partition_cols=["p"], mode="append")
    check("appended", len(wr.athena.read_sql_table("t", DATABASE, s3_output=OUT)) == 4)
    wr.s3.to_parquet(FRAME[2:], path=f"{PATH}/t/", dataset=True, database=DATABASE, table="t", partition_cols=["p"], mode="overwrite_partitions")
    chunks = list(wr.athena.read_sql_query("SELECT * FROM t", database=DATABASE, chunksize=2, s3_output=OUT))
    check("chunks", sum(map(len, chunks)) == 4, chunks)


@case
def statements():
    frame = wr.athena.read_sql_query("SELECT id FROM t WHERE name = :n", database=DATABASE, params={"n": "a"}, s3_output=OUT)
    check("named parameters", frame["id"].tolist()[0] == 1, frame)
    frame = wr.athena.read_sql_query("SELECT id FROM t WHERE p = ?", database=DATABASE, params=["y"], paramstyle="qmark", ctas_approach=False, s3_output=OUT)
    check("bare words", frame["id"].tolist() == [3], frame)
    made = wr.athena.create_ctas_table("SELECT id, name FROM t", database=DATABASE, ctas_table="made", storage_format="parquet", wait=True, s3_output=f"{PATH}/made/")
    check("ctas", made["ctas_table"] == "made" and wr.catalog.does_table_exist(DATABASE, "made"), made)
    check("describe", set(wr.athena.describe_table("t", DATABASE, s3_output=OUT)["Column Name"]) == {"id", "name", "d", "p"})
    check("show create", "CREATE EXTERNAL TABLE" in wr.athena.show_create_table("t", DATABASE, s3_output=OUT))
    check("generated", "CREATE" in wr.athena.generate_create_query("t", DATABASE))
    check("repair", wr.athena.repair_table("t", DATABASE, s3_output=OUT) == "SUCCEEDED")
    query = wr.athena.start_query_execution("SELECT 1 AS one", database=DATABASE, s3_output=OUT)
    wr.athena.wait_query(query)
    check("results", wr.athena.get_query_results(query)["one"].tolist() == [1])
    wr.athena.create_prepared_statement("SELECT * FROM t WHERE p = ?", statement_name="stmt")
    frame = wr.athena.read_sql_query("EXECUTE \"stmt\" USING 'y'", database=DATABASE, ctas_approach=False, s3_output=OUT)
    check("prepared", frame["id"].tolist() == [3], frame)
    wr.athena.delete_prepared_statement("stmt")
    unloaded = wr.athena.unload("SELECT id FROM t", path=f"{PATH}/unloaded/", database=DATABASE)
    check("unload", len(wr.s3.list_objects(f"{PATH}/unloaded/")) >= 1, unloaded)


@case
def iceberg():
    frame = pd.DataFrame({"id": [1, 2], "name": ["a", "b"]})
    # Staged files that are kept are staged again by the next call with the same place, and MERGE finds rows twice.
    keys = dict(database=DATABASE, table="ice", temp_path=f"{PATH}/tmp/", s3_output=OUT, keep_files=False,
                additional_table_properties={"write_target_data_file_size_bytes": "536870912"})
    wr.athena.to_iceberg(frame, table_location=f"{PATH}/ice/", **keys)
    wr.athena.to_iceberg(pd.DataFrame({"id": [2, 3], "name": ["B", "c"]}), merge_cols=["id"], **keys)
    read = wr.athena.read_sql_query("SELECT * FROM ice ORDER BY id", database=DATABASE, ctas_approach=False, s3_output=OUT)
    check("merged", read["name"].tolist() == ["a", "B", "c"], read)
    wr.athena.to_iceberg(pd.DataFrame({"id": [4], "name": ["d"], "more": [1.5]}), schema_evolution=True, **keys)
    read = wr.athena.read_sql_query("SELECT * FROM ice ORDER BY id", database=DATABASE, ctas_approach=False, s3_output=OUT)
    check("evolved", list(read.columns) == ["id", "name", "more"], read)
    wr.athena.delete_from_iceberg_table(pd.DataFrame({"id": [1]}), database=DATABASE, table="ice", merge_cols=["id"], temp_path=f"{PATH}/tmp/", s3_output=OUT, keep_files=False)
    read = wr.athena.read_sql_query("SELECT count(*) AS n FROM ice", database=DATABASE, ctas_approach=False, s3_output=OUT)
    check("deleted", read["n"].tolist() == [3], read)


@case
def catalog():
    check("databases", DATABASE in wr.catalog.databases(limit=1000)["Database"].tolist())
    check("tables", "t" in wr.catalog.tables(database=DATABASE)["Table"].tolist())
    check("types", wr.catalog.get_table_types(DATABASE, "t")["id"] == "bigint")
    check("comments", wr.catalog.get_columns_comments(DATABASE, "t")["id"] == "the id")
    check("location", wr.catalog.get_table_location(DATABASE, "t").startswith(f"{PATH}/t"))
    check("partitions", len(wr.catalog.get_parquet_partitions(DATABASE, "t")) == 2)
    check("filtered", len(wr.catalog.get_parquet_partitions(DATABASE, "t", expression="p='y'")) == 1)
    wr.catalog.upsert_table_parameters({"k": "v"}, DATABASE, "t")
    check("parameters", wr.catalog.get_table_parameters(DATABASE, "t")["k"] == "v")
    wr.catalog.add_column(DATABASE, "t", "extra", "double", column_comment="more")
    wr.catalog.delete_column(DATABASE, "t", "extra")
    check("versions", wr.catalog.get_table_number_of_versions(DATABASE, "t") >= 2)
    check("searched", any(table["Name"] == "t" for table in wr.catalog.search_tables("t")))
    wr.catalog.delete_partitions("t", DATABASE, [["y"]])
    check("deleted", wr.catalog.delete_table_if_exists(DATABASE, "made") and not wr.catalog.does_table_exist(DATABASE, "made"))


close()
