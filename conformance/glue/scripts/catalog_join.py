"""Two tables of the catalog joined, filtered, narrowed, and written as JSON; the third is made by SQL."""
import boto3
client = boto3.client("glue")
def table(name, place, columns, serde, parameters, classification):
    client.create_table(DatabaseName=DB, TableInput={"Name": name, "TableType": "EXTERNAL_TABLE", "Parameters": {"classification": classification, "skip.header.line.count": "1"} if classification == "csv" else {"classification": classification},
        "StorageDescriptor": {"Columns": [{"Name": n, "Type": t} for n, t in columns], "Location": B + place, "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
                              "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat", "SerdeInfo": {"SerializationLibrary": serde, "Parameters": parameters}}})
table("invoices", "/in/invoices/", [("invoice", "bigint"), ("customer", "string"), ("issued", "string"), ("net", "double"), ("vat", "double"), ("paid", "string"), ("lines", "int")],
      "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe", {"field.delim": ","}, "csv")
table("customers", "/in/customers/", [("customer", "string"), ("country", "string"), ("limits", "struct<daily:int,monthly:double>"), ("tags", "array<string>")], "org.openx.data.jsonserde.JsonSerDe", {}, "json")
invoices = glue.create_dynamic_frame.from_catalog(database=DB, table_name="invoices", transformation_ctx="invoices")
customers = glue.create_dynamic_frame.from_catalog(database=DB, table_name="customers", transformation_ctx="customers")
joined = Join.apply(invoices, customers.rename_field("customer", "c_customer"), "customer", "c_customer").drop_fields(["c_customer"])
large = Filter.apply(frame=joined, f=lambda r: r["net"] is not None and r["net"] > 20)
narrow = SelectFields.apply(frame=large, paths=["invoice", "net", "country", "limits", "tags"])
glue.write_dynamic_frame.from_options(frame=narrow, connection_type="s3", connection_options={"path": B + "/out/large/"}, format="json")
for name, frame in (("invoices", invoices), ("customers", customers)):
    frame.toDF().createOrReplaceTempView(name)
report = spark.sql("select c.country, count(*) as n, sum(i.net) as net, max(i.lines) as most from invoices i join customers c on i.customer = c.customer group by c.country order by country")
tell([rows(narrow.toDF().select("invoice", "net", "country", "limits.daily", "tags")), rows(report), report.dtypes])
