"""Dynamic frames by Python functions: records mapped, split by rows and fields, joined again, errors counted."""
def priced(record):
    record["amount"] = (record["qty"] or 0) * record["price"]
    record["size"] = "large" if record["amount"] > 30 else "small"
    del record["sold"]
    return record
source = glue.create_dynamic_frame.from_options("s3", {"paths": [B + "/in/sales/"]}, "csv", {"withHeader": True})
typed = source.apply_mapping([("order_id", "string", "order_id", "int"), ("product", "string", "product", "string"), ("qty", "string", "qty", "int"), ("price", "string", "price", "double"), ("sold", "string", "sold", "string")])
mapped = Map.apply(frame=typed, f=priced)
parts = SplitRows.apply(mapped, {"amount": {">": 30}}, "large", "rest")
fields = SplitFields.apply(mapped, ["order_id", "product"], "names", "numbers")
selected = mapped.filter(lambda r: r["size"] == "large").select_fields(["order_id", "amount"])
glue.write_dynamic_frame.from_options(selected, "s3", {"path": B + "/out/large/"}, "csv", {"writeHeader": True, "separator": "|"})
tell([rows(mapped.toDF().select("order_id", "product", "qty", "amount", "size")), parts.select("large").count(), parts.select("rest").count(), sorted(fields.select("names").toDF().columns), rows(selected), mapped.errorsCount(), sorted(mapped.toDF().dtypes)])
