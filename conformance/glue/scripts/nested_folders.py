"""Folders below a folder that is read: where they are no partitions they are passed over, below a partition they are of it."""
one, two = spark.createDataFrame([(1, "a")], "v int, t string"), spark.createDataFrame([(2, "b")], "v int, t string")
for form in ("parquet", "json"):
    for place, frame in (("plain/", one), ("plain/sub/", two), ("parted/x=1/", one), ("parted/x=2/sub/", two), ("below/sub/x=1/", one), ("beside/x=1/", one), ("beside/", two)):
        frame.coalesce(1).write.mode("append").format(form).save(f"{B}/out/{form}/{place}")
def told(form, place):
    frame = spark.read.format(form).load(f"{B}/out/{form}/{place}/")
    return [sorted(frame.columns), rows(frame.select(*sorted(frame.columns)))]
tell([[told(form, place) for place in ("plain", "parted", "below", "beside")] for form in ("parquet", "json")])
