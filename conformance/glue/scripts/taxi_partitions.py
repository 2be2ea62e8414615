"""Trips of the catalog by a predicate over partitions; times, durations and shares; written by partition through the catalog's sink."""
import boto3
client = boto3.client("glue")
storage = {"Columns": [{"Name": "trip_id", "Type": "bigint"}, {"Name": "pickup", "Type": "string"}, {"Name": "dropoff", "Type": "string"}, {"Name": "fare", "Type": "double"}, {"Name": "zone", "Type": "string"}],
           "InputFormat": "org.apache.hadoop.mapred.TextInputFormat", "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
           "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe", "Parameters": {"field.delim": ","}}}
def location(**more):
    return {**storage, "Location": f"{B}/in/trips/" + "".join(f"{k}={v}/" for k, v in more.items())}
client.create_table(DatabaseName=DB, TableInput={"Name": "trips", "PartitionKeys": [{"Name": "year", "Type": "string"}, {"Name": "month", "Type": "string"}],
                    "Parameters": {"classification": "csv"}, "StorageDescriptor": location()})
client.batch_create_partition(DatabaseName=DB, TableName="trips", PartitionInputList=[
    {"Values": [y, m], "StorageDescriptor": location(year=y, month=m)} for y, m in (("2023", "12"), ("2024", "01"), ("2024", "02"))])
trips = glue.create_dynamic_frame.from_catalog(database=DB, table_name="trips", push_down_predicate="year == '2024' and month in ('01', '02')", transformation_ctx="trips")
t = trips.toDF()
t = t.withColumn("pickup_at", F.to_timestamp("pickup", "yyyy-MM-dd HH:mm:ss")).withColumn("dropoff_at", F.to_timestamp(F.col("dropoff")))
t = t.withColumn("minutes", F.round((F.unix_timestamp("dropoff_at") - F.unix_timestamp("pickup_at")) / 60, 1)).withColumn("hour", F.hour("pickup_at"))
t = t.withColumn("weekday", F.date_format("pickup_at", "E")).withColumn("day", F.date_trunc("day", "pickup_at")).filter(F.col("fare") > 0)
per = t.groupBy("year", "month", "zone").agg(F.count("*").alias("trips"), F.avg("fare").alias("mean"), F.sum("minutes").alias("minutes"), F.max("hour").alias("last"),
                                              F.countDistinct("weekday").alias("days"))
sink = glue.getSink(path=B + "/out/per_zone/", connection_type="s3", updateBehavior="UPDATE_IN_DATABASE", partitionKeys=["year", "month"], enableUpdateCatalog=True, transformation_ctx="sink")
sink.setCatalogInfo(catalogDatabase=DB, catalogTableName="per_zone")
sink.setFormat("glueparquet")
sink.writeFrame(DynamicFrame.fromDF(per, glue, "per"))
tell([rows(t.select("trip_id", "minutes", "hour", "weekday", "day", "month")), rows(spark.read.parquet(B + "/out/per_zone/").select("zone", "trips", "mean", "minutes", "last", "days")),
      sorted(p["Values"] for p in client.get_partitions(DatabaseName=DB, TableName="per_zone")["Partitions"]),
      [(c["Name"], c["Type"]) for c in client.get_table(DatabaseName=DB, Name="per_zone")["Table"]["StorageDescriptor"]["Columns"]]])
