"""ETL (8): joins the five sources, cleans, enriches and writes the refined zone (9); records state in DynamoDB (3)."""
import datetime
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
from awsglue.context import GlueContext
from awsglue.job import Job
from awsglue.utils import getResolvedOptions
from pyspark.context import SparkContext
from pyspark.errors import AnalysisException
from pyspark.sql import functions as F

args = getResolvedOptions(sys.argv, ["JOB_NAME", "run", "landing", "refined", "forecast", "state_table", "runs_table"])
glue = GlueContext(SparkContext.getOrCreate())
spark = glue.spark_session
job = Job(glue)
job.init(args["JOB_NAME"], args)

LANDING, REFINED = f"s3://{args['landing']}", f"s3://{args['refined']}"
KEY = ["year", "month", "day", "carrier", "flight", "origin", "sched_dep_time"]


def landed(name, schema):
    return spark.read.schema(schema).csv(f"{LANDING}/{name}/", header=True)


flights = landed(
    "flights",
    "year INT, month INT, day INT, dep_time INT, sched_dep_time INT, dep_delay INT, arr_time INT, sched_arr_time INT, "
    "arr_delay INT, carrier STRING, flight INT, tailnum STRING, origin STRING, dest STRING, air_time INT, distance INT, "
    "hour INT, minute INT, time_hour STRING")
weather = landed(
    "weather",
    "origin STRING, year INT, month INT, day INT, hour INT, temp DOUBLE, dewp DOUBLE, humid DOUBLE, wind_dir DOUBLE, "
    "wind_speed DOUBLE, wind_gust DOUBLE, precip DOUBLE, pressure DOUBLE, visib DOUBLE, time_hour STRING")
planes = landed(
    "planes",
    "tailnum STRING, year INT, type STRING, manufacturer STRING, model STRING, engines INT, seats INT, speed INT, engine STRING")
airlines = landed("airlines", "carrier STRING, name STRING")
airports = spark.read.schema("faa STRING, name STRING, lat DOUBLE, lon DOUBLE").json(f"{LANDING}/airports/")

clean = (
    flights.dropDuplicates(KEY)
    .withColumn("tailnum", F.when(F.trim("tailnum") != "", F.trim("tailnum")))
    .withColumn("cancelled", F.col("dep_time").isNull())
    .withColumn("weekday", F.dayofweek(F.make_date("year", "month", "day")))
    .withColumn("mph", F.round(F.col("distance") * 60.0 / F.col("air_time"), 1)))

refined = (
    clean
    .join(weather.drop("year", "month", "day", "hour").dropDuplicates(["origin", "time_hour"]), ["origin", "time_hour"], "left")
    .join(planes.select("tailnum", F.col("year").alias("plane_year"), "manufacturer", F.col("model").alias("plane_model"), "seats")
          .dropDuplicates(["tailnum"]), "tailnum", "left")
    .join(airlines.select("carrier", F.col("name").alias("airline")).dropDuplicates(["carrier"]), "carrier", "left")
    .join(airports.select(F.col("faa").alias("dest"), F.col("name").alias("dest_name"), F.col("lat").alias("dest_lat"), F.col("lon").alias("dest_lon"))
          .dropDuplicates(["dest"]), "dest", "left"))
refined = refined.select(*KEY, *(name for name in refined.columns if name not in KEY))  # the forecast takes the key by position
refined.write.mode("overwrite").partitionBy("year", "month").parquet(f"{REFINED}/flights/")

# What is there now, as a reader sees it.
written = spark.read.parquet(f"{REFINED}/flights/")
rows, newest = written.agg(F.count("*"), F.max(F.col("year") * 100 + F.col("month"))).first()
newest = f"year={newest // 100}/month={newest % 100}" if rows else "none"

# Forecasts made from the flights that were here before say nothing about these.
boto3.resource("s3").Bucket(args["forecast"]).objects.filter(Prefix="forecast/").delete()

# One row a run, also when this job had to start over in the middle of one.
try:
    audited = spark.read.parquet(f"{REFINED}/audit/").where(F.col("run") == args["run"]).count()
except AnalysisException:
    audited = 0
if not audited:
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    row = spark.createDataFrame([(args["run"], rows, newest, now)], "run STRING, rows BIGINT, newest STRING, finished_at STRING")
    row.coalesce(1).write.mode("append").parquet(f"{REFINED}/audit/")

# Each file that went in is refined now, and so is the run.
dynamodb = boto3.client("dynamodb")
items = [item for page in dynamodb.get_paginator("scan").paginate(TableName=args["state_table"]) for item in page["Items"]]


def refine(item):
    dynamodb.update_item(
        TableName=args["state_table"], Key={k: item[k] for k in ("source", "file")},
        UpdateExpression="SET stage = :refined", ExpressionAttributeValues={":refined": {"S": "refined"}})


with ThreadPoolExecutor(8) as pool:
    list(pool.map(refine, [item for item in items if item["stage"]["S"] == "landed"]))
dynamodb.put_item(
    TableName=args["runs_table"],
    Item={"run": {"S": args["run"]}, "stage": {"S": "refined"}, "rows": {"N": str(rows)}, "newest": {"S": newest}})
job.commit()
