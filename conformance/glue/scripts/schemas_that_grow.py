"""Files whose schema has grown: merged as they are read, missing columns added, types widened."""
old = spark.createDataFrame([(1, "a"), (2, "b")], "id int, name string")
new = spark.createDataFrame([(3, "c", 1.5, "2024-01-01")], "id int, name string, price double, day string")
old.write.mode("overwrite").parquet(B + "/out/grown/part=1/")
new.write.mode("overwrite").parquet(B + "/out/grown/part=2/")
merged = spark.read.option("mergeSchema", "true").parquet(B + "/out/grown/")
union = old.unionByName(new, allowMissingColumns=True).withColumn("id", F.col("id").cast("long")).withColumn("day", F.col("day").cast("date"))
dyf = DynamicFrame.fromDF(merged, glue, "merged")
tell([rows(merged.select("id", "name", "price", "day", "part")), merged.select("id", "name", "price", "day", "part").dtypes, rows(union), union.dtypes, dyf.count(), [f.name for f in dyf.schema().fields]])
