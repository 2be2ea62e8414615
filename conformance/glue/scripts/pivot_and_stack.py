"""Columns out of rows and back: pivot with chosen values, stack, totals by rollup and cube."""
sales = spark.read.option("header", True).schema("order_id int, region string, product string, qty int, price decimal(8,2), sold date").csv(B + "/in/sales/").na.fill({"region": "none", "qty": 0})
wide = sales.groupBy("region").pivot("product", ["Pen", "Book", "Lamp"]).agg(F.sum("qty")).na.fill(0)
long = wide.selectExpr("region", "stack(3, 'Pen', Pen, 'Book', Book, 'Lamp', Lamp) as (product, qty)").where("qty > 0")
totals = sales.rollup("region", "product").agg(F.sum("qty").alias("qty"), F.grouping_id().alias("level")).orderBy("level", "region", "product")
both = sales.cube("region").agg(F.count("*").alias("n"), F.sum(F.col("qty") * F.col("price")).alias("amount"))
tell([rows(wide), wide.columns, rows(long), rows(totals), rows(both), both.dtypes])
