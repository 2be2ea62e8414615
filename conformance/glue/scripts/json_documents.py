"""Documents over several lines, a path into them, nested values by dots, written as lines and read with a schema."""
from pyspark.sql.types import StructType, StructField, StringType, IntegerType, ArrayType, DoubleType
whole = spark.read.option("multiLine", "true").json(B + "/in/documents/")
items = whole.select(F.explode("batch.records").alias("r"), "batch.source").select("source", "r.*")
dyf = glue.create_dynamic_frame.from_options("s3", {"paths": [B + "/in/documents/"]}, "json", {"jsonPath": "$.batch.records[*]", "multiline": True})
items.write.mode("overwrite").json(B + "/out/items/")
schema = StructType([StructField("id", IntegerType()), StructField("label", StringType()), StructField("points", ArrayType(DoubleType())), StructField("missing", StringType())])
back = spark.read.schema(schema).json(B + "/out/items/")
tell([rows(items.select("source", "id", "label", "points")), rows(dyf.toDF().select("id", "label")), rows(back), items.select("id", "label", "points").dtypes])
