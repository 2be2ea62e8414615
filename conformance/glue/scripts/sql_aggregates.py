"""Views and SQL between two dynamic frames."""
d = glue.create_dynamic_frame.from_options("s3", {"paths": [B + "/in/orders/"]}, "csv", {"withHeader": True}).toDF()
d = d.withColumn("amount", F.col("amount").cast("double")).withColumnRenamed("order id", "id")
d.createOrReplaceTempView("orders")
per = spark.sql("SELECT customer, count(*) AS n, sum(amount) AS total, max(when) AS last FROM orders GROUP BY customer HAVING count(*) >= 1 ORDER BY customer")
out = DynamicFrame.fromDF(per, glue, "per")
glue.write_dynamic_frame.from_options(out.coalesce(1), "s3", {"path": B + "/out/per"}, "csv", {"quoteChar": "\""})
tell(rows(out))
