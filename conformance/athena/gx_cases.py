"""Great Expectations over Athena: a SQL data source, a table and a query, expectations of each kind."""
import os
from urllib.parse import quote_plus
import great_expectations as gx
from checks import BUCKET, DATABASE, case, check, close, place
from pyathena import connect

place()
cursor = connect(s3_staging_dir=f"s3://{BUCKET}/staging/", region_name="us-east-1", schema_name=DATABASE).cursor()
cursor.execute(f"CREATE TABLE {DATABASE}.orders WITH (format='PARQUET', external_location='s3://{BUCKET}/orders/') AS SELECT * FROM (VALUES (1,'ann',DOUBLE '5.0',DATE '2020-01-01'),(2,'bob',7.5,DATE '2020-01-15'),(3,NULL,1.25,DATE '2020-02-01'),(4,'ann',NULL,DATE '2020-03-01')) AS t(id, customer, amount, day)")
url = f"awsathena+rest://@athena.us-east-1.amazonaws.com:443/{DATABASE}?s3_staging_dir={quote_plus(f's3://{BUCKET}/staging/')}&endpoint_url={quote_plus(os.environ['AWS_ENDPOINT_URL'])}"
context = gx.get_context(mode="ephemeral")
source = context.data_sources.add_sql("athena", connection_string=url)
E = gx.expectations
GOOD = [
    E.ExpectTableRowCountToEqual(value=4), E.ExpectTableColumnCountToEqual(value=4),
    E.ExpectTableColumnsToMatchOrderedList(column_list=["id", "customer", "amount", "day"]),
    E.ExpectColumnToExist(column="id"), E.ExpectColumnValuesToBeUnique(column="id"),
    E.ExpectColumnValuesToNotBeNull(column="id"), E.ExpectColumnValuesToBeBetween(column="id", min_value=1, max_value=4),
    E.ExpectColumnValuesToBeInSet(column="customer", value_set=["ann", "bob"]),
    E.ExpectColumnMaxToBeBetween(column="amount", min_value=7, max_value=8), E.ExpectColumnMeanToBeBetween(column="amount", min_value=4, max_value=5),
    E.ExpectColumnMedianToBeBetween(column="amount", min_value=4, max_value=6), E.ExpectColumnStdevToBeBetween(column="amount", min_value=3, max_value=4),
    E.ExpectColumnSumToBeBetween(column="amount", min_value=13, max_value=14), E.ExpectColumnDistinctValuesToEqualSet(column="customer", value_set=["ann", "bob"]),
    E.ExpectColumnUniqueValueCountToBeBetween(column="customer", min_value=2, max_value=2), E.ExpectColumnMostCommonValueToBeInSet(column="customer", value_set=["ann"]),
    E.ExpectColumnValueLengthsToEqual(column="customer", value=3),
    E.ExpectColumnPairValuesToBeEqual(column_A="id", column_B="id"),
    E.ExpectCompoundColumnsToBeUnique(column_list=["id", "customer"]),
    E.ExpectColumnProportionOfUniqueValuesToBeBetween(column="id", min_value=1, max_value=1), E.ExpectColumnValuesToBeNull(column="customer", mostly=0.25),
]


def verdicts(batch, expectations):
    for expectation in expectations:
        name = type(expectation).__name__
        done = batch.validate(expectation)
        errors = [str(e)[:300] for e in (done.exception_info or {}).values() if isinstance(e, dict) and e.get("raised_exception")] if isinstance(done.exception_info, dict) else []
        check(name, done.success, errors or done.result)


@case
def table():
    batch = source.add_table_asset("orders", table_name="orders").add_batch_definition_whole_table("all").get_batch()
    verdicts(batch, GOOD)
    bad = batch.validate(E.ExpectColumnValuesToNotBeNull(column="customer"))
    check("a failure is seen", not bad.success and bad.result["unexpected_count"] == 1, bad)


@case
def query():
    batch = source.add_query_asset("q", query="SELECT id, amount FROM orders WHERE id > 1").add_batch_definition_whole_table("all").get_batch()
    verdicts(batch, [E.ExpectTableRowCountToEqual(value=3), E.ExpectColumnValuesToBeBetween(column="id", min_value=2, max_value=4)])


close()
