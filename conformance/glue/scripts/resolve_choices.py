"""Every way of resolveChoice over the same choices, and the types that come of it."""
source = glue.create_dynamic_frame.from_options("s3", {"paths": [B + "/in/choice/"]}, "json")
out = []
for how in ("make_cols", "make_struct", "cast:long", "project:string"):
    frame = source.resolveChoice(specs=[("provider", how)]).toDF()
    out.append([how, frame.select(sorted(frame.columns)).dtypes, rows(frame.select(sorted(frame.columns)))])
whole = ResolveChoice.apply(frame=source, choice="cast:string").toDF()
tell([out, rows(whole.select("id", "provider")), whole.select("id", "provider").dtypes])
