"""Times of several zones brought to one, differences, ends of months, weeks, ages."""
spark.conf.set("spark.sql.session.timeZone", "Europe/Berlin")
at = spark.createDataFrame([(1, "2024-03-31 01:30:00", "America/New_York"), (2, "2024-10-27 02:30:00", "Asia/Tokyo"), (3, "2024-02-29 23:59:59", "UTC"), (4, None, "UTC")], "id int, at string, zone string")
t = at.withColumn("at", F.to_timestamp("at"))
out = t.select("id", F.from_utc_timestamp("at", "America/New_York").alias("ny"), F.to_utc_timestamp("at", "Asia/Tokyo").alias("utc"), F.date_format("at", "yyyy-MM-dd HH:mm").alias("text"), F.unix_timestamp("at").alias("s"),
               F.last_day("at").alias("last"), F.weekofyear("at").alias("week"), F.date_format("at", "EEE").alias("day"), F.floor(F.months_between(F.to_date(F.lit("2024-12-31")), F.to_date("at"))).alias("months"), F.hour("at").alias("hour"))
tell([rows(out.select([F.col(c).cast("string") for c in out.columns])), out.dtypes])
