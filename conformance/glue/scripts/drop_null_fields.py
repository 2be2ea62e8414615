"""Columns that hold nothing but null go; selected and dropped fields."""
d = glue.create_dynamic_frame.from_options("s3", {"paths": [B + "/in/nulls/"]}, "json")
kept = DropNullFields.apply(d)
few = SelectFields.apply(kept, ["id", "a.x"])
tell([sorted(kept.toDF().columns), few.toDF().columns, rows(few), sorted(DropFields.apply(kept, ["a.y", "n"]).toDF().columns), kept.count()])
glue.write_dynamic_frame.from_options(kept, "s3", {"path": B + "/out/kept"}, "json")
