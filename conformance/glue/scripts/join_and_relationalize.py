"""Joins three JSON sources as the legislators example does, and flattens the result into tables."""
persons = glue.create_dynamic_frame.from_options("s3", {"paths": [B + "/in/persons/"]}, "json")
memberships = glue.create_dynamic_frame.from_options("s3", {"paths": [B + "/in/memberships/"]}, "json")
orgs = glue.create_dynamic_frame.from_options("s3", {"paths": [B + "/in/orgs/"]}, "json")
orgs = orgs.drop_fields(["note"]).rename_field("id", "org_id").rename_field("name", "org_name")
history = Join.apply(orgs, Join.apply(persons, memberships, "id", "person_id"), "org_id", "organization_id").drop_fields(["person_id", "org_id"])
tables = history.relationalize("hist_root", B + "/tmp/")
for name in sorted(tables.keys()):
    glue.write_dynamic_frame.from_options(tables.select(name), "s3", {"path": f"{B}/out/{name}"}, "json")
root = tables.select("hist_root").toDF()
tell([sorted(tables.keys()), sorted(root.columns), rows(root.select("name", "org_name", "`address.city`")),
      sorted([r["index"], r["contacts.val.type"], r["contacts.val.value"]] for r in tables.select("hist_root_contacts").toDF().collect())])
