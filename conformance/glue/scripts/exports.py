"""Exports for others: one CSV with a header and a bar, all quoted; text lines; JSON compressed."""
sales = spark.read.options(header=True, inferSchema=True).csv(B + "/in/sales/").orderBy("order_id")
sales.coalesce(1).write.mode("overwrite").options(header=True, sep="|", quoteAll=True, nullValue="-").csv(B + "/out/bar/")
sales.coalesce(1).select(F.concat_ws(";", F.col("order_id").cast("string"), "product", F.coalesce("region", F.lit("?"))).alias("value")).write.mode("overwrite").text(B + "/out/text/")
sales.coalesce(1).select("order_id", "region", "qty", F.date_format("sold", "dd.MM.yyyy").alias("sold")).write.mode("overwrite").option("compression", "gzip").json(B + "/out/gz/")
back = spark.read.options(header=True, sep="|", nullValue="-").csv(B + "/out/bar/")
tell([rows(back), sales.dtypes, spark.read.text(B + "/out/text/").count(), rows(spark.read.json(B + "/out/gz/"))])
