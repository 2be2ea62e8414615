"""Text that holds JSON becomes a struct, a struct becomes columns."""
d = glue.create_dynamic_frame.from_options("s3", {"paths": [B + "/in/boxed/"]}, "json")
u = Unbox.apply(d, "payload", "json")
flat = UnnestFrame.apply(u)
tell([sorted(flat.toDF().columns), rows(flat.toDF().select("id", "`payload.a`", "`payload.b.c`"))])
glue.write_dynamic_frame.from_options(flat, "s3", {"path": B + "/out/flat"}, "json")
