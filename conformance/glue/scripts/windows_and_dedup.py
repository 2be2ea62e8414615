"""The newest record of each key, and typed dates."""
from pyspark.sql import Window
d = glue.create_dynamic_frame.from_options("s3", {"paths": [B + "/in/events/"], "recurse": True}, "json").toDF()
newest = d.withColumn("rn", F.row_number().over(Window.partitionBy("id").orderBy(F.col("at").desc()))).filter("rn = 1").drop("rn")
newest = newest.withColumn("day", F.to_date("at")).withColumn("state", F.when(F.col("value") > 10, "high").otherwise("low"))
newest.write.mode("overwrite").partitionBy("state").parquet(B + "/out/newest/")
tell(rows(spark.read.parquet(B + "/out/newest/").select("id", "value", "day", "state")))
