"""Visits out of clicks: gaps by lag, running sums, first and last of each, shares of the day."""
from pyspark.sql.window import Window
clicks = spark.read.option("header", True).option("inferSchema", True).csv(B + "/in/visits/")
w = Window.partitionBy("user").orderBy("at")
gaps = clicks.withColumn("before", F.lag("at").over(w)).withColumn("gap", F.unix_timestamp("at") - F.unix_timestamp("before"))
visits = gaps.withColumn("new", F.when(F.col("gap").isNull() | (F.col("gap") > 1800), 1).otherwise(0)).withColumn("visit", F.sum("new").over(w.rowsBetween(Window.unboundedPreceding, Window.currentRow)))
per = visits.groupBy("user", "visit").agg(F.min("at").alias("began"), F.max("at").alias("ended"), F.count("*").alias("clicks"), F.first("page").alias("entry"), F.countDistinct("page").alias("pages"))
per = per.withColumn("seconds", F.col("ended").cast("long") - F.col("began").cast("long")).withColumn("day", F.to_date("began"))
share = per.withColumn("share", F.round(F.col("clicks") / F.sum("clicks").over(Window.partitionBy("day")), 3)).withColumn("rank", F.dense_rank().over(Window.partitionBy("day").orderBy(F.desc("clicks"))))
ahead = clicks.withColumn("next", F.lead("page", 1, "end").over(w)).groupBy("page", "next").count()
share.select("user", "visit", "seconds", "share", "day").write.mode("overwrite").partitionBy("day").csv(B + "/out/visits/", header=True)
tell([clicks.dtypes, rows(share.select("user", "visit", "clicks", "seconds", "share", "rank", "day")), rows(ahead)])
