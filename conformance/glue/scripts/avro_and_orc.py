"""The same rows as Avro and as ORC by dynamic frames, and back."""
data = spark.createDataFrame([(1, "a", 1.5, True, [1, 2], {"k": "v"}), (2, None, None, False, [], {}), (3, "ü", -0.25, None, None, None)], "id int, s string, d double, b boolean, a array<int>, m map<string,string>")
out = []
for kind in ("avro", "orc"):
    glue.write_dynamic_frame.from_options(DynamicFrame.fromDF(data.coalesce(1), glue, kind), "s3", {"path": f"{B}/out/{kind}/"}, kind)
    back = glue.create_dynamic_frame.from_options("s3", {"paths": [f"{B}/out/{kind}/"]}, kind).toDF()
    out.append([kind, sorted(back.dtypes), rows(back.select("id", "s", "d", "b", "a"))])
tell(out)
