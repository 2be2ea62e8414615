"""As the visual editor writes jobs: SQL over named frames, an aggregation helper, selected and dropped fields."""
def sparkSqlQuery(glueContext, query, mapping, transformation_ctx) -> DynamicFrame:
    for alias, frame in mapping.items():
        frame.toDF().createOrReplaceTempView(alias)
    result = spark.sql(query)
    return DynamicFrame.fromDF(result, glueContext, transformation_ctx)
def sparkAggregate(glueContext, parentFrame, groups, aggs, transformation_ctx) -> DynamicFrame:
    aggsFuncs = []
    for column, func in aggs:
        aggsFuncs.append(getattr(F, func)(column))
    result = parentFrame.toDF().groupBy(*groups).agg(*aggsFuncs) if len(groups) > 0 else parentFrame.toDF().agg(*aggsFuncs)
    return DynamicFrame.fromDF(result, glueContext, transformation_ctx)
AmazonS3_node1 = glue.create_dynamic_frame.from_options(format_options={"quoteChar": '"', "withHeader": True, "separator": ",", "optimizePerformance": False}, connection_type="s3", format="csv",
                                                        connection_options={"paths": [B + "/in/sales/"], "recurse": True}, transformation_ctx="AmazonS3_node1")
ChangeSchema_node2 = ApplyMapping.apply(frame=AmazonS3_node1, mappings=[("order_id", "string", "order_id", "int"), ("region", "string", "region", "string"), ("product", "string", "product", "string"),
                                        ("qty", "string", "qty", "int"), ("price", "string", "price", "decimal(10,2)"), ("sold", "string", "sold", "date")], transformation_ctx="ChangeSchema_node2")
Filter_node3 = Filter.apply(frame=ChangeSchema_node2, f=lambda row: (row["qty"] is not None and row["qty"] >= 1), transformation_ctx="Filter_node3")
SQL_node4 = sparkSqlQuery(glue, query="""
select region, product, qty, price, qty * price as amount, year(sold) as y, month(sold) as m,
       case when qty * price >= 100 then 'large' when qty * price >= 20 then 'medium' else 'small' end as class
from sales where region is not null""", mapping={"sales": Filter_node3}, transformation_ctx="SQL_node4")
Aggregate_node5 = sparkAggregate(glue, parentFrame=SQL_node4, groups=["region", "class"], aggs=[["amount", "sum"], ["product", "countDistinct"], ["qty", "max"]], transformation_ctx="Aggregate_node5")
RenameField_node6 = RenameField.apply(frame=Aggregate_node5, old_name="`sum(amount)`", new_name="total", transformation_ctx="RenameField_node6")
glue.write_dynamic_frame.from_options(frame=SQL_node4, connection_type="s3", format="csv", connection_options={"path": B + "/out/sales/", "partitionKeys": ["y"]}, transformation_ctx="S3_node7")
tell([rows(RenameField_node6), RenameField_node6.toDF().columns, rows(SQL_node4), SQL_node4.toDF().dtypes])
