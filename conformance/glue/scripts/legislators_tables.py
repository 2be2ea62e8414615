"""Nested members with arrays and maps flattened for a database: relationalize by both forms, joined again by their keys, unnested, spigot."""
members = glue.create_dynamic_frame.from_options("s3", {"paths": [B + "/in/members/"]}, "json")
members = members.rename_field("id", "member_id").drop_fields(["other.note"])
tables = Relationalize.apply(frame=members, staging_path=B + "/tmp/", name="root", transformation_ctx="rel")
links = tables.select("root_links").toDF()
root = tables.select("root").toDF()
joined = root.join(links, root["links"] == links["id"], "left")
names = members.select_fields(["member_id", "name.given", "name.family"]).unnest()
upper = names.map(lambda r: {**r, "family": r["name.family"].upper()} if r.get("name.family") else r)
young = members.filter(lambda r: r["born"] is not None and r["born"] > "1970")
for name in sorted(tables.keys()):
    glue.write_dynamic_frame.from_options(tables.select(name), "s3", {"path": f"{B}/out/{name}"}, "csv")
tell([sorted(tables.keys()), sorted(root.columns), rows(joined.select("member_id", "index", "`links.val.url`", "`links.val.kind`")), rows(names), sorted(upper.toDF().columns),
      rows(upper.toDF().select("member_id", "family")), rows(young.select_fields(["member_id"])), rows(DropNullFields.apply(root and tables["root"]).toDF().select("member_id"))])
