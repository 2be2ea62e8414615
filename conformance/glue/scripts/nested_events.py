"""Events of nested JSON: arrays exploded, maps and text of JSON read, structs built and taken apart."""
from pyspark.sql.types import ArrayType, IntegerType, StringType, StructField, StructType
d = spark.read.json(B + "/in/clicks/")
d.printSchema()
items = d.select("event_id", "user.id", F.col("user.geo.country").alias("country"), F.explode_outer("items").alias("item"), "payload")
flat = items.select("event_id", "id", "country", F.col("item.sku").alias("sku"), F.col("item.n").cast("int").alias("n"), F.get_json_object("payload", "$.a.b").alias("ab"))
schema = StructType([StructField("a", StructType([StructField("b", StringType())])), StructField("tags", ArrayType(StringType())), StructField("score", IntegerType())])
parsed = d.withColumn("p", F.from_json("payload", schema)).select("event_id", "p.a.b", F.col("p.tags")[0].alias("tag"), F.size("p.tags").alias("tags"), "p.score", F.array_contains("p.tags", "x").alias("x"))
sums = d.select("event_id", F.expr("aggregate(transform(items, i -> i.n), 0L, (s, v) -> s + coalesce(v, 0L))").alias("total"), F.size("items").alias("of"))
back = flat.groupBy("country").agg(F.sort_array(F.collect_set("sku")).alias("skus"), F.sum("n").alias("n"), F.to_json(F.struct(F.max("sku").alias("most"), F.count("sku").alias("c"))).alias("j"))
back.write.mode("overwrite").json(B + "/out/back")
tell([d.dtypes, rows(flat), rows(parsed), rows(sums), rows(back)])
