"""A dimension of type 2: hashes of rows tell what changed, old rows are closed, new ones opened, keys counted on."""
from pyspark.sql.window import Window
current = spark.createDataFrame([(1, "c1", "Oslo", "gold", "2023-01-01", None, True), (2, "c2", "Rome", "silver", "2023-01-01", None, True), (3, "c3", None, "gold", "2023-06-01", None, True)],
                                "sk long, customer string, city string, tier string, valid_from string, valid_to string, is_current boolean")
current = current.withColumn("valid_from", F.to_date("valid_from")).withColumn("valid_to", F.to_date("valid_to"))
incoming = spark.createDataFrame([("c1", "Oslo", "gold"), ("c2", "Milan", "silver"), ("c3", None, "platinum"), ("c4", "Bern", None)], "customer string, city string, tier string")
def hashed(frame):
    return frame.withColumn("hash", F.sha2(F.concat_ws("||", F.coalesce("city", F.lit("")), F.coalesce("tier", F.lit(""))), 256))
today = F.to_date(F.lit("2024-03-01"))
c, i = hashed(current).alias("c"), hashed(incoming).alias("i")
joined = i.join(c, (F.col("i.customer") == F.col("c.customer")) & F.col("c.is_current"), "left")
changed = joined.filter(F.col("c.hash").isNull() | (F.col("c.hash") != F.col("i.hash"))).select("i.customer", "i.city", "i.tier")
most = current.agg(F.max("sk")).collect()[0][0]
opened = changed.withColumn("sk", F.lit(most) + F.row_number().over(Window.orderBy("customer"))).withColumn("valid_from", today).withColumn("valid_to", F.lit(None).cast("date")).withColumn("is_current", F.lit(True))
closed = current.join(changed.select("customer", F.lit(True).alias("hit")), "customer", "left").select("sk", "customer", "city", "tier", "valid_from",
    F.when(F.col("hit"), F.date_sub(today, 1)).otherwise(F.col("valid_to")).alias("valid_to"), F.col("hit").isNull().alias("is_current"))
dimension = closed.unionByName(opened.select(closed.columns))
dimension.write.mode("overwrite").parquet(B + "/out/dimension/")
tell([rows(spark.read.parquet(B + "/out/dimension/")), dimension.dtypes])
