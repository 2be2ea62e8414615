"""A column of several types: cast, columns, struct, project."""
d = glue.create_dynamic_frame.from_options("s3", {"paths": [B + "/in/choice/"]}, "json")
cast = d.resolveChoice(specs=[("provider", "cast:long")])
cols = d.resolveChoice(specs=[("provider", "make_cols")])
struct = d.resolveChoice(specs=[("provider", "make_struct")])
project = ResolveChoice.apply(d, choice="project:string")
tell([rows(cast.select_fields(["id", "provider"])), sorted(cols.toDF().columns), rows(project.select_fields(["id", "provider"])), struct.toDF().schema["provider"].dataType.simpleString()])
glue.write_dynamic_frame.from_options(cast, "s3", {"path": B + "/out/cast"}, "json")
