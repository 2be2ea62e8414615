"""Changes merged into what is there: unions by name, anti and semi joins, the newest of each key, deletes left out, one partition overwritten."""
from pyspark.sql import Window
base = spark.createDataFrame([(1, "a", 10.0, "2024-01-01"), (2, "b", 20.0, "2024-01-01"), (3, "c", None, "2024-01-02")], ["id", "name", "v", "day"])
base.write.mode("overwrite").partitionBy("day").parquet(B + "/out/base/")
changes = spark.read.schema("op string, id long, name string, v double, day string, at timestamp").json(B + "/in/changes/")
newest = changes.withColumn("rn", F.row_number().over(Window.partitionBy("id").orderBy(F.desc("at")))).filter(F.col("rn") == 1).drop("rn", "at")
old = spark.read.parquet(B + "/out/base/").withColumn("day", F.col("day").cast("string"))
kept = old.join(newest.select("id"), "id", "left_anti")
merged = kept.unionByName(newest.filter("op <> 'D'").drop("op"), allowMissingColumns=True)
both = old.alias("o").join(newest.alias("n"), F.col("o.id") == F.col("n.id"), "full_outer").select(
    F.coalesce("o.id", "n.id").alias("id"), "op", F.when(F.col("o.id").isNull(), "new").when(F.col("n.id").isNull(), "same").otherwise("changed").alias("what"),
    (F.coalesce("n.v", F.lit(0.0)) - F.coalesce("o.v", F.lit(0.0))).alias("diff"))
dyf = glue.create_dynamic_frame.from_options("s3", {"paths": [B + "/in/changes/"]}, "json")
staged = DynamicFrame.fromDF(old, glue, "old").mergeDynamicFrame(dyf, ["id"])
merged.write.mode("overwrite").partitionBy("day").parquet(B + "/out/merged/")
tell([rows(merged.select("id", "name", "v", "day")), rows(both), rows(old.join(newest, "id", "left_semi").select("id")), rows(staged.toDF().select("id", "name")),
      rows(spark.read.parquet(B + "/out/merged/").groupBy("day").agg(F.count("*").alias("n"), F.sum("v").alias("v")))])
