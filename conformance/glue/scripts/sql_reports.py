"""Reports in SQL: common table expressions, rollups, subqueries, unions, lateral views, null handling, dates."""
for name in ("sales", "people"):
    frame = spark.read.csv(f"{B}/in/{name}/", header=True, inferSchema=True, sep=";" if name == "people" else ",")
    frame.createOrReplaceTempView(name)
per = spark.sql("""
WITH priced AS (SELECT *, qty * price AS amount, date_trunc('MONTH', sold) AS month FROM sales WHERE qty IS NOT NULL),
     ranked AS (SELECT *, row_number() OVER (PARTITION BY region ORDER BY amount DESC, order_id) AS rn FROM priced)
SELECT region, product, round(amount, 2) AS amount, date_format(month, 'yyyy-MM') AS month, datediff(sold, '2024-01-01') AS days
FROM ranked WHERE rn <= 2 AND region IS NOT NULL ORDER BY region, rn""")
totals = spark.sql("""SELECT coalesce(region, 'all') AS region, coalesce(product, 'all') AS product, count(*) AS n, sum(coalesce(qty, 0)) AS qty, round(avg(price), 3) AS price
FROM sales WHERE region IS NOT NULL GROUP BY ROLLUP (region, product) ORDER BY 1, 2""")
above = spark.sql("SELECT order_id, product FROM sales WHERE price > (SELECT avg(price) FROM sales) AND product IN (SELECT product FROM sales GROUP BY product HAVING count(*) > 1) ORDER BY order_id")
words = spark.sql("SELECT id, word FROM people LATERAL VIEW explode(split(trim(name), ' +')) w AS word WHERE nullif(city, 'N/A') IS NOT NULL ORDER BY id, word")
either = spark.sql("SELECT product AS what FROM sales UNION SELECT tier FROM people ORDER BY what NULLS LAST")
glue.write_dynamic_frame.from_options(DynamicFrame.fromDF(totals.coalesce(1), glue, "t"), "s3", {"path": B + "/out/totals"}, "csv", {"writeHeader": True})
tell([rows(per), rows(totals), rows(above), rows(words), rows(either)])
