"""JSON within a column: a schema given, one inferred from an example, paths, arrays exploded, and written again."""
clicks = spark.read.json(B + "/in/clicks/")
schema = "a struct<b:string>, tags array<string>, score int"
parsed = clicks.withColumn("p", F.from_json("payload", schema)).select("event_id", "user.id", F.col("user.geo.country").alias("country"), "p.a.b", "p.score", F.explode_outer("p.tags").alias("tag"))
paths = clicks.select("event_id", F.get_json_object("payload", "$.a.b").alias("deep"), F.get_json_object("payload", "$.tags[0]").alias("tag"), F.get_json_object("payload", "$.score").cast("int").alias("score"))
items = clicks.select("event_id", F.explode("items").alias("i")).groupBy("i.sku").agg(F.sum("i.n").alias("n"), F.sort_array(F.collect_set("event_id")).alias("events"))
again = clicks.select("event_id", F.to_json(F.struct("user.id", F.size("items").alias("n"))).alias("json"))
tell([rows(parsed), rows(paths), rows(items), rows(again), parsed.dtypes])
