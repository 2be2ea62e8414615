"""Arrays in arrays of structs made tables, the tables joined again by their ids."""
carts = glue.create_dynamic_frame.from_options("s3", {"paths": [B + "/in/carts/"]}, "json", transformation_ctx="carts")
tables = Relationalize.apply(frame=carts, staging_path=B + "/tmp/", name="root", transformation_ctx="tables")
names = sorted(tables.keys())
root, lines = tables.select("root").toDF(), tables.select("root_lines").toDF()
joined = root.join(lines, root["lines"] == lines["id"], "left").select("cart", "`customer.name`", "index", "`lines.val.sku`", "`lines.val.price`")
for name in names:
    glue.write_dynamic_frame.from_options(tables.select(name), "s3", {"path": f"{B}/out/{name}"}, "parquet")
tell([names, rows(joined), [sorted(tables.select(n).toDF().columns) for n in names], [tables.select(n).count() for n in names]])
