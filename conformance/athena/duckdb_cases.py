"""DuckDB's Iceberg extension on the REST catalog: tables of Athena's read, tables of its own that Athena reads."""
import os

import boto3
import duckdb
import duckdb_ext

from checks import BUCKET, DATABASE, Athena, case, close, equal, place, refused

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]
KEY, SECRET = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]

place()
athena = Athena()
ACCOUNT = boto3.client("sts", region_name="us-east-1").get_caller_identity()["Account"]
boto3.client("glue", region_name="us-east-1").update_database(
    Name=DATABASE, DatabaseInput={"Name": DATABASE, "LocationUri": f"s3://{BUCKET}/duck"})


def attached():
    """With a token: for a signature, the extension wants TLS."""
    duck = duckdb_ext.init(duckdb.connect())
    for extension in ("httpfs", "avro", "iceberg"):
        duck.load_extension(extension)
    duck.execute(f"""CREATE SECRET door (TYPE iceberg, CLIENT_ID '{KEY}', CLIENT_SECRET '{SECRET}',
                     OAUTH2_SERVER_URI '{ENDPOINT}/iceberg/v1/oauth/tokens')""")
    # The owner gets no keys with a table: S3 is read with its own.
    host = ENDPOINT.split("://")[1]
    duck.execute(f"""CREATE SECRET own (TYPE s3, KEY_ID '{KEY}', SECRET '{SECRET}', REGION 'us-east-1', ENDPOINT '{host}',
                     URL_STYLE 'path', USE_SSL false)""")
    # DuckDB attaches what is named like a file in S3 for reading only: the warehouse is the account, the place of tables the database's.
    duck.execute(f"ATTACH '{ACCOUNT}' AS lake (TYPE iceberg, ENDPOINT '{ENDPOINT}/iceberg', SECRET door)")
    return duck


@case
def reads():
    athena.run(f"""CREATE TABLE made (id bigint, name string, at timestamp, price decimal(9,2), tags array<string>)
                   PARTITIONED BY (day(at)) LOCATION 's3://{BUCKET}/made/' TBLPROPERTIES ('table_type'='ICEBERG')""")
    athena.run("""INSERT INTO made VALUES (1, 'a', TIMESTAMP '2024-05-01 10:00:00', 1.5, ARRAY['x', NULL]),
                  (2, NULL, NULL, NULL, NULL), (3, 'c', TIMESTAMP '2024-05-02 00:00:00', 3, ARRAY[])""")
    athena.run("DELETE FROM made WHERE id = 2")
    duck = attached()
    found = duck.execute(f"SELECT id, name, CAST(\"at\" AS varchar), price, tags FROM lake.{DATABASE}.made ORDER BY id").fetchall()
    equal("what Athena wrote", [(row[0], row[1], row[2], str(row[3]), row[4]) for row in found],
          [(1, "a", "2024-05-01 10:00:00", "1.50", ["x", None]), (3, "c", "2024-05-02 00:00:00", "3.00", [])])
    equal("by a filter", duck.execute(f"SELECT count(*) FROM lake.{DATABASE}.made WHERE \"at\" >= TIMESTAMP '2024-05-02'").fetchall(), [(1,)])
    equal("tables", duck.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake'").fetchall() != [], True)


@case
def writes():
    duck = attached()
    duck.execute(f"CREATE TABLE lake.{DATABASE}.own (id bigint, name varchar)")
    duck.execute(f"INSERT INTO lake.{DATABASE}.own VALUES (1, 'x'), (2, NULL)")
    equal("Athena reads it", athena.rows("SELECT id, name FROM own ORDER BY id"), [["1", "x"], ["2", None]])
    athena.run("INSERT INTO own VALUES (3, 'z')")
    duck.execute(f"INSERT INTO lake.{DATABASE}.own SELECT 4, 'w'")
    equal("rows of both", duck.execute(f"SELECT id FROM lake.{DATABASE}.own ORDER BY id").fetchall(), [(1,), (2,), (3,), (4,)])
    duck.execute(f"CREATE TABLE lake.{DATABASE}.taken AS SELECT range AS n, 'r' || range AS t FROM range(1000)")
    equal("a table of a query's rows", athena.rows("SELECT count(*), sum(n), max(t) FROM taken"), [["1000", "499500", "r999"]])
    duck.execute(f"DELETE FROM lake.{DATABASE}.own WHERE id = 2")
    duck.execute(f"UPDATE lake.{DATABASE}.own SET name = 'new' WHERE id = 1")
    equal("its changes", athena.rows("SELECT id, name FROM own ORDER BY id"), [["1", "new"], ["3", "z"], ["4", "w"]])
    duck.execute("BEGIN")
    duck.execute(f"INSERT INTO lake.{DATABASE}.own VALUES (9, 'both')")
    duck.execute(f"INSERT INTO lake.{DATABASE}.taken VALUES (9000, 'both')")
    duck.execute("COMMIT")
    equal("two tables in one transaction", athena.rows("SELECT (SELECT count(*) FROM own), (SELECT count(*) FROM taken)"), [["4", "1001"]])
    duck.execute("CREATE SCHEMA lake.of_duck")
    duck.execute("DROP SCHEMA lake.of_duck")
    duck.execute(f"DROP TABLE lake.{DATABASE}.taken")
    refused("a table that is gone", "taken", lambda: athena.rows("SELECT * FROM taken"))


close()
