"""The crawler's next step as tutorials have it: CSV with a header, columns mapped and typed, empty fields dropped, Parquet by year and month."""
datasource0 = glue.create_dynamic_frame.from_options(connection_type="s3", connection_options={"paths": [B + "/in/invoices/"]}, format="csv", format_options={"withHeader": True, "separator": ",", "quoteChar": '"'}, transformation_ctx="datasource0")
applymapping1 = ApplyMapping.apply(frame=datasource0, mappings=[("invoice", "string", "invoice_id", "bigint"), ("customer", "string", "customer", "string"), ("issued", "string", "issued", "timestamp"),
                                   ("net", "string", "net", "double"), ("vat", "string", "vat", "decimal(6,2)"), ("paid", "string", "paid", "boolean"), ("lines", "string", "lines", "int")], transformation_ctx="applymapping1")
resolvechoice2 = ResolveChoice.apply(frame=applymapping1, choice="make_struct", transformation_ctx="resolvechoice2")
dropnullfields3 = DropNullFields.apply(frame=resolvechoice2, transformation_ctx="dropnullfields3")
frame = dropnullfields3.toDF().withColumn("year", F.year("issued")).withColumn("month", F.month("issued")).withColumn("gross", F.round(F.col("net") * (1 + F.col("vat").cast("double") / 100), 2))
final = DynamicFrame.fromDF(frame.repartition(1), glue, "final")
datasink4 = glue.write_dynamic_frame.from_options(frame=final, connection_type="s3", connection_options={"path": B + "/out/invoices", "partitionKeys": ["year", "month"]}, format="parquet", transformation_ctx="datasink4")
tell([rows(final), frame.dtypes, rows(spark.read.parquet(B + "/out/invoices").select("invoice_id", "gross", "year", "month")), datasource0.count()])
