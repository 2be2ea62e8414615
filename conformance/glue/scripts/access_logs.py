"""Lines of a web server's log taken apart by expressions, counted by hour and status, errors kept."""
lines = spark.read.text(B + "/in/weblog/")
pattern = r'^(\S+) \S+ \S+ \[([^\]]+)\] "(\S+) (\S+) [^"]*" (\d{3}) (\d+|-)'
parsed = lines.select(*[F.regexp_extract("value", pattern, n).alias(name) for n, name in enumerate(("host", "at", "method", "path", "status", "bytes"), 1)], "value").filter("host <> ''")
parsed = parsed.withColumn("at", F.to_timestamp("at", "dd/MMM/yyyy:HH:mm:ss Z")).withColumn("status", F.col("status").cast("int")).withColumn("bytes", F.when(F.col("bytes") == "-", 0).otherwise(F.col("bytes").cast("long")))
per = parsed.groupBy(F.date_trunc("hour", "at").alias("hour"), "status").agg(F.count("*").alias("n"), F.sum("bytes").alias("bytes"), F.countDistinct("host").alias("hosts"))
paths = parsed.withColumn("top", F.concat(F.lit("/"), F.split("path", "/")[1])).groupBy("top").count()
errors = parsed.filter(F.col("status") >= 400).select("path", "status")
tell([lines.count(), rows(per), rows(paths), rows(errors)])
