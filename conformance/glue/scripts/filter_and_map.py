"""Python functions over records."""
d = glue.create_dynamic_frame.from_options("s3", {"paths": [B + "/in/orders/"]}, "csv", {"withHeader": True})
big = Filter.apply(d, lambda r: r["amount"] not in (None, "") and float(r["amount"]) > 10)
def enrich(r):
    r["total"] = round(float(r["amount"]) * 1.21, 2)
    r["first"] = r["customer"][:1].upper()
    del r["vip"]
    return r
done = Map.apply(big, enrich)
tell([sorted(done.toDF().columns), rows(done.select_fields(["first", "total"])), big.count()])
glue.write_dynamic_frame.from_options(done, "s3", {"path": B + "/out/big"}, "csv", {"writeHeader": False, "separator": "|"})
