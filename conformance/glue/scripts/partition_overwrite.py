"""One partition is written anew, the others stay; the catalog's sink adds partitions."""
spark.conf.set("spark.sql.sources.partitionOverwriteMode", "dynamic")
spark.createDataFrame([(1, "a", 2024), (2, "b", 2024), (3, "c", 2025)], "id int, n string, year int").write.mode("overwrite").partitionBy("year").parquet(B + "/out/t/")
spark.createDataFrame([(9, "z", 2025)], "id int, n string, year int").write.mode("overwrite").partitionBy("year").parquet(B + "/out/t/")
sink = glue.getSink("s3", path=B + "/out/sink/", enableUpdateCatalog=True, updateBehavior="UPDATE_IN_DATABASE", partitionKeys=["year"])
sink.setFormat("json")
sink.setCatalogInfo(catalogDatabase=DB, catalogTableName="sunk")
sink.writeFrame(DynamicFrame.fromDF(spark.read.parquet(B + "/out/t/"), glue, "x"))
tell([rows(spark.read.parquet(B + "/out/t/").select("id", "n", "year")), rows(glue.create_dynamic_frame.from_catalog(DB, "sunk"))])
