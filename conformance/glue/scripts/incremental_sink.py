"""What is new since the last run goes to a table of the catalog, compressed; the table is read back by the catalog and by SQL's options."""
source = glue.create_dynamic_frame.from_options("s3", {"paths": [B + "/in/events/"], "recurse": True, "groupFiles": "inPartition", "groupSize": "1048576"}, "json", transformation_ctx="source")
mapped = source.apply_mapping([("id", "int", "id", "long"), ("at", "string", "at", "timestamp"), ("value", "int", "value", "double")])
typed = mapped.resolveChoice(choice="match_catalog", database=DB, table_name="none") if False else mapped
frame = typed.toDF().withColumn("day", F.date_format("at", "yyyy-MM-dd"))
out = DynamicFrame.fromDF(frame, glue, "out")
sink = glue.getSink(connection_type="s3", path=B + "/out/events/", enableUpdateCatalog=True, updateBehavior="UPDATE_IN_DATABASE", partitionKeys=["day"], compression="gzip", transformation_ctx="sink")
sink.setFormat("json")
sink.setCatalogInfo(catalogDatabase=DB, catalogTableName="events_out")
sink.writeFrame(out)
again = glue.create_dynamic_frame.from_catalog(DB, "events_out", push_down_predicate="day >= '2024-01-02'")
tell([rows(out), rows(again), again.toDF().dtypes, out.schema().jsonValue() if hasattr(out.schema(), "jsonValue") else None, out.errorsCount(), source.count()])
