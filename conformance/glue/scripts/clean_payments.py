"""Provider payments: identifiers of two types cast, text of money made numbers by a UDF, columns nested, written as Parquet."""
from pyspark.sql.functions import udf
from pyspark.sql.types import StringType
payments = glue.create_dynamic_frame.from_options(connection_type="s3", connection_options={"paths": [B + "/in/payments/"]}, format="json", transformation_ctx="payments")
resolved = payments.resolveChoice(specs=[("provider id", "cast:long")])
frame = resolved.toDF().where("`provider id` is NOT NULL")
chop = udf(lambda x: x[1:] if x else None, StringType())
frame = frame.withColumn("ACC", chop(frame["average covered charges"])).withColumn("ATP", chop(frame["average total payments"]))
nested = ApplyMapping.apply(frame=DynamicFrame.fromDF(frame, glue, "nested"), mappings=[
    ("drg definition", "string", "drg", "string"), ("provider id", "long", "provider.id", "long"), ("provider name", "string", "provider.name", "string"),
    ("provider zip code", "long", "provider.zip", "long"), ("ACC", "string", "charges.covered", "double"), ("ATP", "string", "charges.total_pay", "double")])
glue.write_dynamic_frame.from_options(frame=nested, connection_type="s3", connection_options={"path": B + "/out/payments"}, format="parquet")
tell([nested.toDF().schema.simpleString(), rows(spark.read.parquet(B + "/out/payments/").selectExpr("drg", "provider.id", "provider.name", "charges.covered", "charges.total_pay")),
      payments.count(), resolved.count()])
