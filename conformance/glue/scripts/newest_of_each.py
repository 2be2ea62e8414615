"""Duplicates dropped by keys, the newest kept, what was dropped counted, hashes compared."""
from pyspark.sql import Window
raw = spark.read.schema("op string, id int, name string, v double, day string, at string").json(B + "/in/changes/").withColumn("at", F.to_timestamp("at"))
raw = raw.union(raw.filter("id = 4")).withColumn("source", F.lit("feed"))
exact = raw.dropDuplicates()
by_key = raw.orderBy("id", F.desc("at")).dropDuplicates(["id"]).select("id")
newest = exact.withColumn("n", F.row_number().over(Window.partitionBy("id").orderBy(F.col("at").desc_nulls_last()))).where("n = 1").drop("n")
keyed = newest.withColumn("key", F.md5(F.concat_ws("|", F.col("id").cast("string"), "name", "day"))).withColumn("empty", F.col("name").isNull())
tell([raw.count(), exact.count(), rows(by_key), rows(keyed.select("id", "name", "v", "key", "empty", "source")), rows(newest.groupBy("day").agg(F.count("id").alias("n"), F.sum("v").alias("v")))])
