"""CSV by the crawler's types to Parquet, with renamed, nested and dropped columns."""
d = glue.create_dynamic_frame.from_options("s3", {"paths": [B + "/in/orders/"]}, "csv", {"withHeader": True, "separator": ","})
m = ApplyMapping.apply(d, [("order id", "string", "order_id", "long"), ("customer", "string", "customer.name", "string"), ("amount", "string", "amount", "double"),
                           ("when", "string", "day", "date"), ("vip", "string", "customer.vip", "boolean")])
glue.write_dynamic_frame.from_options(m, "s3", {"path": B + "/out/orders"}, "glueparquet", {"compression": "gzip"})
tell([m.toDF().schema.simpleString(), rows(spark.read.parquet(B + "/out/orders/").select("order_id", "customer.name", "amount", "day", "customer.vip"))])
