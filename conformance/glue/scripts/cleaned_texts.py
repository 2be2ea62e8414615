"""Names, addresses and numbers as people type them, made of one form."""
people = spark.read.options(header="true", sep=";").csv(B + "/in/people/")
clean = people.select(
    F.col("id").cast("int").alias("id"), F.trim(F.lower("name")).alias("name"), F.regexp_replace(F.lower(F.trim("email")), "\\s+", "").alias("email"),
    F.regexp_replace("phone", "[^0-9]", "").alias("phone"), F.when(F.col("born").rlike("^[0-9]{4}-[0-9]{2}-[0-9]{2}$"), F.to_date("born")).alias("born"),
    F.when(F.upper("city") == "N/A", None).otherwise(F.col("city")).alias("city"), F.split(F.trim("name"), " ")[0].alias("given"), F.regexp_extract("email", "@(.+)$", 1).alias("domain"))
clean = clean.withColumn("phone", F.when(F.length("phone") > 0, F.lpad("phone", 12, "0"))).withColumn("has", F.col("domain") != "").withColumn("initial", F.substring("given", 1, 1))
bad = clean.filter(F.col("born").isNull() | ~F.col("has"))
clean.coalesce(1).write.mode("overwrite").option("header", True).option("nullValue", "NULL").csv(B + "/out/people/")
tell([rows(clean), rows(bad.select("id")), clean.dtypes])
