"""Two frames out of one by columns and by rows; a sample on the way."""
d = glue.create_dynamic_frame.from_options("s3", {"paths": [B + "/in/orders/"]}, "csv", {"withHeader": True})
typed = d.apply_mapping([("order id", "string", "id", "int"), ("customer", "string", "customer", "string"), ("amount", "string", "amount", "double")])
s = Spigot.apply(typed, B + "/out/spigot", {"topk": 100})
fields = SplitFields.apply(typed, ["id"], "ids", "rest")
parts = SplitRows.apply(typed, {"amount": {">": 10, "<": 100}}, "middle", "others")
tell([sorted(fields.keys()), SelectFromCollection.apply(fields, "ids").toDF().columns, SelectFromCollection.apply(fields, "rest").toDF().columns,
      rows(parts["middle"]), rows(parts["others"])])
