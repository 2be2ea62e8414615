"""Parameters that may be given or not, dates counted from one of them, partitions overwritten one by one."""
import datetime
optional = [name for name in ("run_date", "days", "mode") if f"--{name}" in sys.argv]
given = getResolvedOptions(sys.argv, ["JOB_NAME", *optional])
run_date = datetime.date.fromisoformat(given.get("run_date", "2024-02-12"))
days = int(given.get("days", 3))
wanted = [(run_date - datetime.timedelta(days=n)).isoformat() for n in range(days)]
spark.conf.set("spark.sql.sources.partitionOverwriteMode", "dynamic")
sales = spark.read.option("header", "true").csv(B + "/in/sales/").withColumn("sold", F.to_date("sold", "yyyy-MM-dd"))
chosen = sales.filter(F.col("sold").isin([datetime.date.fromisoformat(d) for d in wanted])).withColumn("day", F.date_format("sold", "yyyyMMdd"))
for _ in range(2):
    chosen.select("order_id", "product", F.col("price").cast("decimal(8,2)").alias("price"), "day").write.mode("overwrite").partitionBy("day").parquet(B + "/out/days/")
back = spark.read.parquet(B + "/out/days/")
tell([sorted(wanted), rows(back.select("order_id", "product", "price", F.col("day").cast("string"))), back.count(), given["JOB_NAME"] == args["JOB_NAME"]])
