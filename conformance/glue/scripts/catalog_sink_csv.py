"""A table of the catalog that a sink makes, and a second write that adds a column and partitions to it."""
import boto3
def write(frame, ctx):
    sink = glue.getSink(path=B + "/out/stock/", connection_type="s3", updateBehavior="UPDATE_IN_DATABASE", partitionKeys=["region", "day"], enableUpdateCatalog=True, transformation_ctx=ctx)
    sink.setCatalogInfo(catalogDatabase=DB, catalogTableName="stock")
    sink.setFormat("glueparquet", compression="snappy")
    sink.writeFrame(DynamicFrame.fromDF(frame, glue, ctx))
first = spark.createDataFrame([("a", 1, "n", "2024-01-01"), ("b", 2, "s", "2024-01-01")], "sku string, n int, region string, day string")
second = spark.createDataFrame([("c", 3, 9.5, "n", "2024-01-02")], "sku string, n int, price double, region string, day string")
write(first, "first")
write(second, "second")
client = boto3.client("glue")
found = client.get_table(DatabaseName=DB, Name="stock")["Table"]
back = glue.create_dynamic_frame.from_catalog(database=DB, table_name="stock", push_down_predicate="region='n'").toDF()
tell([[(c["Name"], c["Type"]) for c in found["StorageDescriptor"]["Columns"]], [(c["Name"], c["Type"]) for c in found["PartitionKeys"]],
      sorted(p["Values"] for p in client.get_partitions(DatabaseName=DB, TableName="stock")["Partitions"]), rows(back.select("sku", "n", "region", "day"))])
