"""Figures of columns: quantiles, quartiles, correlations, counts of nulls, what is filled and replaced."""
from pyspark.sql import Window
frame = spark.createDataFrame([(n, n % 3, float(n * n % 17), None if n % 4 == 0 else n * 1.5, ["a", "b", None][n % 3]) for n in range(1, 21)], "id int, g int, x double, y double, s string")
nulls = frame.select([F.count(F.when(F.col(c).isNull(), c)).alias(c) for c in frame.columns])
figures = frame.groupBy("g").agg(F.expr("percentile_approx(x, 0.5)").alias("median"), F.round(F.stddev("x"), 6).alias("dev"), F.round(F.corr("x", "id"), 6).alias("corr"), F.min("x").alias("least"), F.max("x").alias("most"))
tiles = frame.withColumn("tile", F.ntile(4).over(Window.orderBy("x", "id"))).groupBy("tile").agg(F.count("*").alias("n"), F.sum("x").alias("x"))
filled = frame.na.fill({"y": 0.0, "s": "none"}).replace("a", "A", ["s"]).withColumn("bucket", F.when(F.col("x") < 5, "low").when(F.col("x") < 10, "middle").otherwise("high"))
tell([rows(nulls), rows(figures), rows(tiles), rows(filled.groupBy("bucket", "s").agg(F.round(F.sum("y"), 2).alias("y"))), frame.approxQuantile("x", [0.25, 0.5, 0.75], 0.0), rows(frame.describe("x").select("summary", "x"))])
