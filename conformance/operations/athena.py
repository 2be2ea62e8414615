"""Athena: https://docs.aws.amazon.com/athena/latest/APIReference/API_Operations.html"""
import time

from harness import ACCOUNT, REGION, bucket, client, denied, equal, holds, named, names, operations, pages, refused, until


def athena():
    return client("athena")


def run(sql, place, **more):
    """The id of a query that has ended, and how."""
    id = athena().start_query_execution(QueryString=sql, ResultConfiguration={"OutputLocation": f"s3://{place}/out/"}, **more)["QueryExecutionId"]
    ended = until(lambda: athena().get_query_execution(QueryExecutionId=id)["QueryExecution"], lambda q: q["Status"]["State"] not in ("QUEUED", "RUNNING"))
    return id, ended


@operations("athena", "StartQueryExecution", "GetQueryExecution", "GetQueryResults", "BatchGetQueryExecution", "ListQueryExecutions",
            "StopQueryExecution", "GetQueryRuntimeStatistics")
def queries():
    place, no = bucket(), "00000000-0000-0000-0000-000000000000"
    id, ended = run("SELECT 1 AS a, 'x' AS b UNION ALL SELECT 2, NULL ORDER BY 1", place)
    holds(ended, QueryExecutionId=id, StatementType="DML", WorkGroup="primary")
    equal((ended["Status"]["State"], ended["ResultConfiguration"]["OutputLocation"]), ("SUCCEEDED", f"s3://{place}/out/{id}.csv"))
    results = athena().get_query_results(QueryExecutionId=id)["ResultSet"]
    equal([[d.get("VarCharValue") for d in row["Data"]] for row in results["Rows"]], [["a", "b"], ["1", "x"], ["2", None]])
    equal([(c["Name"], c["Type"]) for c in results["ResultSetMetadata"]["ColumnInfo"]], [("a", "integer"), ("b", "varchar")])
    equal(pages(lambda **a: athena().get_query_results(**a)["ResultSet"] | {"NextToken": athena().get_query_results(**a).get("NextToken")}, "Rows",
                "NextToken", "NextToken", QueryExecutionId=id, MaxResults=2)[1], 2)
    several = athena().batch_get_query_execution(QueryExecutionIds=[id, no])
    equal((names(several["QueryExecutions"], "QueryExecutionId"), names(several["UnprocessedQueryExecutionIds"], "QueryExecutionId")), ([id], [no]))
    assert id in athena().list_query_executions()["QueryExecutionIds"]
    statistics = athena().get_query_runtime_statistics(QueryExecutionId=id)["QueryRuntimeStatistics"]
    equal(statistics["Rows"]["OutputRows"], 2)
    assert statistics["Timeline"]["TotalExecutionTimeInMillis"] >= statistics["Timeline"]["EngineExecutionTimeInMillis"] >= 0, statistics
    failed, ended = run("SELECT * FROM nowhere.nothing", place)
    equal(ended["Status"]["State"], "FAILED")
    assert "nowhere" in ended["Status"]["StateChangeReason"], ended["Status"]
    refused("InvalidRequestException", "FAILED", athena().get_query_results, QueryExecutionId=failed)
    refused("InvalidRequestException", "", athena().start_query_execution, QueryString="SELEC 1", ResultConfiguration={"OutputLocation": f"s3://{place}/"})
    refused("InvalidRequestException", "No output location provided", athena().start_query_execution, QueryString="SELECT 1")
    text = f"QueryExecution {no} was not found"
    for call in (athena().get_query_execution, athena().get_query_results, athena().stop_query_execution, athena().get_query_runtime_statistics):
        refused("InvalidRequestException", text, call, QueryExecutionId=no)
    # What has ended is not stopped, and stopping it is no error.
    athena().stop_query_execution(QueryExecutionId=id)
    equal(athena().get_query_execution(QueryExecutionId=id)["QueryExecution"]["Status"]["State"], "SUCCEEDED")
    refused("ValidationException", "queryExecutionIds", athena().batch_get_query_execution, QueryExecutionIds=[])
    refused("InvalidRequestException", "nothing-here", athena().list_query_executions, WorkGroup="nothing-here")


@operations("athena", "CreateWorkGroup", "GetWorkGroup", "ListWorkGroups", "UpdateWorkGroup", "DeleteWorkGroup", "ListEngineVersions", "TagResource",
            "UntagResource", "ListTagsForResource")
def workgroups():
    name, place = named("group"), f"s3://{bucket()}/w/"
    athena().create_work_group(Name=name, Description="d", Configuration={"ResultConfiguration": {"OutputLocation": place}}, Tags=[{"Key": "a", "Value": "1"}])
    found = athena().get_work_group(WorkGroup=name)["WorkGroup"]
    holds(found, Name=name, Description="d", State="ENABLED")
    holds(found["Configuration"], ResultConfiguration={"OutputLocation": place}, EnforceWorkGroupConfiguration=True, PublishCloudWatchMetricsEnabled=True,
          RequesterPaysEnabled=False, EngineVersion={"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": "Athena engine version 3"})
    listed = {w["Name"]: w["State"] for w in pages(athena().list_work_groups, "WorkGroups", "NextToken", "NextToken", MaxResults=1)[0]}
    equal((listed[name], listed["primary"]), ("ENABLED", "ENABLED"))
    athena().update_work_group(WorkGroup=name, Description="e", State="DISABLED", ConfigurationUpdates={"BytesScannedCutoffPerQuery": 10_000_000})
    found = athena().get_work_group(WorkGroup=name)["WorkGroup"]
    holds(found, Description="e", State="DISABLED")
    holds(found["Configuration"], BytesScannedCutoffPerQuery=10_000_000, ResultConfiguration={"OutputLocation": place})
    refused("InvalidRequestException", "disabled", athena().start_query_execution, QueryString="SELECT 1", WorkGroup=name)
    arn = f"arn:aws:athena:{REGION}:{ACCOUNT}:workgroup/{name}"
    athena().tag_resource(ResourceARN=arn, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
    equal(sorted(athena().list_tags_for_resource(ResourceARN=arn)["Tags"], key=str), [{"Key": "a", "Value": "2"}, {"Key": "b", "Value": ""}])
    athena().untag_resource(ResourceARN=arn, TagKeys=["a", "never"])
    equal(athena().list_tags_for_resource(ResourceARN=arn)["Tags"], [{"Key": "b", "Value": ""}])
    equal(names(athena().list_engine_versions()["EngineVersions"], "SelectedEngineVersion"), ["AUTO", "Athena engine version 3"])
    denied("AccessDeniedException", "athena:ListEngineVersions", "list_engine_versions")
    refused("InvalidRequestException", "already created", athena().create_work_group, Name=name)
    refused("ValidationException", "maxResults", athena().list_work_groups, MaxResults=51)
    for call, given in ((athena().get_work_group, {}), (athena().update_work_group, {"Description": "x"}), (athena().delete_work_group, {})):
        refused("InvalidRequestException", "WorkGroup nothing-here is not found", call, WorkGroup="nothing-here", **given)
    no = arn.replace(name, "nothing-here")
    for call, given in ((athena().tag_resource, {"Tags": [{"Key": "a", "Value": "1"}]}), (athena().untag_resource, {"TagKeys": ["a"]}),
                        (athena().list_tags_for_resource, {})):
        refused("ResourceNotFoundException", "nothing-here", call, ResourceARN=no, **given)
    athena().delete_work_group(WorkGroup=name)
    refused("InvalidRequestException", f"WorkGroup {name} is not found", athena().get_work_group, WorkGroup=name)
    refused("InvalidRequestException", "Primary", athena().delete_work_group, WorkGroup="primary")


def in_group(sql, group, **more):
    """How a query of a workgroup with a place of its own has ended."""
    id = athena().start_query_execution(QueryString=sql, WorkGroup=group, **more)["QueryExecutionId"]
    return until(lambda: athena().get_query_execution(QueryExecutionId=id)["QueryExecution"], lambda q: q["Status"]["State"] not in ("QUEUED", "RUNNING"))


@operations("athena", "CreateWorkGroup", "UpdateWorkGroup", "StartQueryExecution", "GetQueryExecution", "GetQueryResults")
def settings_of_workgroups():
    place, group, table = bucket(), named("ruled"), named("wide").replace("-", "_")
    given = {"ResultConfiguration": {"OutputLocation": f"s3://{place}/out/"}, "BytesScannedCutoffPerQuery": 10_000_000}
    athena().create_work_group(Name=group, Configuration=given)
    for part in range(2):
        client("s3").put_object(Bucket=place, Key=f"wide/{part}.csv", Body=b"0123456789abcde\n" * 500_000)
    equal(in_group(f"CREATE EXTERNAL TABLE default.{table} (a string) LOCATION 's3://{place}/wide/'", group)["Status"]["State"], "SUCCEEDED")
    # What reads more than it may is ended, and leaves nothing.
    for sql in (f"SELECT count(*), max(a) FROM default.{table}", f"CREATE TABLE default.{table}_2 AS SELECT * FROM default.{table}"):
        ended = in_group(sql, group)
        equal((ended["Status"]["State"], ended["Status"]["StateChangeReason"]), ("CANCELLED", "Bytes scanned limit was exceeded"))
        assert ended["Statistics"]["DataScannedInBytes"] > 10_000_000, ended
    refused("EntityNotFoundException", "", client("glue").get_table, DatabaseName="default", Name=f"{table}_2")
    equal(in_group(f"SELECT a FROM default.{table} WHERE \"$path\" LIKE '%/0.csv' LIMIT 1", group)["Status"]["State"], "SUCCEEDED")
    athena().update_work_group(WorkGroup=group, ConfigurationUpdates={"RemoveBytesScannedCutoffPerQuery": True})
    equal(in_group(f"SELECT max(a) FROM default.{table}", group)["Status"]["State"], "SUCCEEDED")
    # The workgroup says where results go: a CTAS may not.
    ended = in_group(f"CREATE TABLE default.{table}_3 WITH (external_location = 's3://{place}/t3/') AS SELECT 1 a", group)
    equal(ended["Status"]["State"], "FAILED")
    assert "enforces a centralized output location" in ended["Status"]["StateChangeReason"], ended["Status"]
    # Whose the bucket of results must be.
    change = {"ResultConfigurationUpdates": {"ExpectedBucketOwner": "111111111111"}}
    athena().update_work_group(WorkGroup=group, ConfigurationUpdates=change)
    ended = in_group("SELECT 1", group)
    equal(ended["Status"]["State"], "FAILED")
    assert "expected bucket owner" in ended["Status"]["StateChangeReason"], ended["Status"]
    change = {"ResultConfigurationUpdates": {"ExpectedBucketOwner": ACCOUNT, "EncryptionConfiguration": {"EncryptionOption": "SSE_S3"}}}
    athena().update_work_group(WorkGroup=group, ConfigurationUpdates=change)
    ended = in_group("SELECT 1", group)
    equal(ended["Status"]["State"], "SUCCEEDED")
    equal(len(athena().get_query_results(QueryExecutionId=ended["QueryExecutionId"])["ResultSet"]["Rows"]), 2)
    # How it is encrypted.
    key = client("kms").create_key()["KeyMetadata"]["Arn"]
    change = {"ResultConfigurationUpdates": {"EncryptionConfiguration": {"EncryptionOption": "SSE_KMS", "KmsKey": key}}}
    athena().update_work_group(WorkGroup=group, ConfigurationUpdates=change)
    ended = in_group("SELECT 1", group)
    at = ended["ResultConfiguration"]["OutputLocation"].removeprefix(f"s3://{place}/")
    holds(client("s3").head_object(Bucket=place, Key=at), ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    equal(len(athena().get_query_results(QueryExecutionId=ended["QueryExecutionId"])["ResultSet"]["Rows"]), 2)
    # What queries took is in CloudWatch.
    told = lambda name, *more: client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Athena", MetricName=name, Period=60, Statistics=["SampleCount", "Sum"], StartTime=time.time() - 3600, EndTime=time.time() + 3600,
        Dimensions=[{"Name": "WorkGroup", "Value": group}, *({"Name": n, "Value": v} for n, v in more)])["Datapoints"]
    count = lambda points: sum(point["SampleCount"] for point in points)
    ended_so = until(lambda: told("ProcessedBytes", ("QueryState", "CANCELLED"), ("QueryType", "DML")), lambda points: count(points) == 1)
    assert ended_so[0]["Sum"] > 10_000_000, ended_so
    until(lambda: told("TotalExecutionTime"), lambda points: count(points) == 9)
    refused("InvalidRequestException", "Engine version", athena().update_work_group, WorkGroup=group,
            ConfigurationUpdates={"EngineVersion": {"SelectedEngineVersion": "Athena engine version 2"}})
    refused("InvalidRequestException", "KmsKey", athena().create_work_group, Name=group + "2",
            Configuration={"ResultConfiguration": {"EncryptionConfiguration": {"EncryptionOption": "SSE_KMS"}}})
    refused("InvalidRequestException", "CSE_KMS", athena().start_query_execution, QueryString="SELECT 1", ResultConfiguration={
        "OutputLocation": f"s3://{place}/", "EncryptionConfiguration": {"EncryptionOption": "CSE_KMS", "KmsKey": key}})
    no = "00000000-0000-0000-0000-000000000000"
    for call in (athena().get_query_execution, athena().get_query_results):
        refused("InvalidRequestException", "was not found", call, QueryExecutionId=no)


@operations("athena", "CreateNamedQuery", "GetNamedQuery", "ListNamedQueries", "BatchGetNamedQuery", "UpdateNamedQuery", "DeleteNamedQuery")
def named_queries():
    name, no = named("query"), "00000000-0000-0000-0000-000000000000"
    id = athena().create_named_query(Name=name, Database="default", QueryString="SELECT 1", Description="d")["NamedQueryId"]
    kept = {"Name": name, "Database": "default", "QueryString": "SELECT 1", "Description": "d", "NamedQueryId": id, "WorkGroup": "primary"}
    equal(athena().get_named_query(NamedQueryId=id)["NamedQuery"], kept)
    assert id in pages(athena().list_named_queries, "NamedQueryIds", "NextToken", "NextToken", MaxResults=1)[0]
    several = athena().batch_get_named_query(NamedQueryIds=[id, no])
    equal((several["NamedQueries"], names(several["UnprocessedNamedQueryIds"], "NamedQueryId")), ([kept], [no]))
    athena().update_named_query(NamedQueryId=id, Name=name + "2", QueryString="SELECT 2")
    holds(athena().get_named_query(NamedQueryId=id)["NamedQuery"], Name=name + "2", QueryString="SELECT 2", WorkGroup="primary")
    refused("ValidationException", "queryString", athena().create_named_query, Name=name, Database="default", QueryString="")
    refused("InvalidRequestException", "nothing-here", athena().list_named_queries, WorkGroup="nothing-here")
    refused("ValidationException", "namedQueryIds", athena().batch_get_named_query, NamedQueryIds=[])
    athena().delete_named_query(NamedQueryId=id)
    for call, given in ((athena().get_named_query, {}), (athena().delete_named_query, {}), (athena().update_named_query, {"Name": "x", "QueryString": "SELECT 1"})):
        refused("InvalidRequestException", id, call, NamedQueryId=id, **given)


@operations("athena", "BatchGetPreparedStatement", "CreatePreparedStatement", "GetPreparedStatement", "ListPreparedStatements", "UpdatePreparedStatement", "DeletePreparedStatement")
def prepared_statements():
    name, group = named("p").replace("-", "_"), {"WorkGroup": "primary"}
    athena().create_prepared_statement(StatementName=name, QueryStatement="SELECT ?", Description="d", **group)
    holds(athena().get_prepared_statement(StatementName=name, **group)["PreparedStatement"], StatementName=name, QueryStatement="SELECT ?",
          WorkGroupName="primary", Description="d")
    assert name in names(pages(athena().list_prepared_statements, "PreparedStatements", "NextToken", "NextToken", MaxResults=1, **group)[0], "StatementName")
    some = athena().batch_get_prepared_statement(PreparedStatementNames=[name, "nothing_here"], **group)
    equal([s["QueryStatement"] for s in some["PreparedStatements"]], ["SELECT ?"])
    equal(names(some["UnprocessedPreparedStatementNames"], "StatementName"), ["nothing_here"])
    refused("InvalidRequestException", "nothing-here", athena().batch_get_prepared_statement, PreparedStatementNames=[name], WorkGroup="nothing-here")
    athena().update_prepared_statement(StatementName=name, QueryStatement="SELECT ? + 1", **group)
    equal(athena().get_prepared_statement(StatementName=name, **group)["PreparedStatement"]["QueryStatement"], "SELECT ? + 1")
    id, _ = run(f"EXECUTE {name} USING 41", bucket())
    equal(athena().get_query_results(QueryExecutionId=id)["ResultSet"]["Rows"][1]["Data"], [{"VarCharValue": "42"}])
    refused("InvalidRequestException", name, athena().create_prepared_statement, StatementName=name, QueryStatement="SELECT 1", **group)
    refused("InvalidRequestException", "nothing-here", athena().list_prepared_statements, WorkGroup="nothing-here")
    athena().delete_prepared_statement(StatementName=name, **group)
    for call, given in ((athena().get_prepared_statement, {}), (athena().delete_prepared_statement, {}), (athena().update_prepared_statement, {"QueryStatement": "SELECT 1"})):
        refused("ResourceNotFoundException", name, call, StatementName=name, **group, **given)


@operations("athena", "CreateDataCatalog", "GetDataCatalog", "ListDataCatalogs", "UpdateDataCatalog", "DeleteDataCatalog")
def data_catalogs():
    name = named("catalog").replace("-", "_")
    given = {"Name": name, "Type": "GLUE", "Parameters": {"catalog-id": ACCOUNT}}
    athena().create_data_catalog(**given, Description="d", Tags=[{"Key": "a", "Value": "1"}])
    holds(athena().get_data_catalog(Name=name)["DataCatalog"], **given, Description="d")
    listed = {c["CatalogName"]: c["Type"] for c in pages(athena().list_data_catalogs, "DataCatalogsSummary", "NextToken", "NextToken", MaxResults=2)[0]}
    equal((listed[name], listed["AwsDataCatalog"]), ("GLUE", "GLUE"))
    athena().update_data_catalog(**given, Description="e")
    holds(athena().get_data_catalog(Name=name)["DataCatalog"], Description="e")
    refused("InvalidRequestException", name, athena().create_data_catalog, **given)
    refused("ValidationException", "maxResults", athena().list_data_catalogs, MaxResults=1)
    athena().delete_data_catalog(Name=name)
    for call, more in ((athena().get_data_catalog, {}), (athena().delete_data_catalog, {}), (athena().update_data_catalog, {"Type": "GLUE"})):
        refused("InvalidRequestException", name, call, Name=name, **more)


@operations("athena", "GetDatabase", "ListDatabases", "GetTableMetadata", "ListTableMetadata")
def metadata():
    glue, name, at = client("glue"), named("db").replace("-", "_"), {"CatalogName": "AwsDataCatalog"}
    glue.create_database(DatabaseInput={"Name": name, "Description": "d", "Parameters": {"k": "v"}})
    columns = [{"Name": "a", "Type": "int", "Comment": "c"}]
    for table in ("one", "two"):
        glue.create_table(DatabaseName=name, TableInput={
            "Name": table, "TableType": "EXTERNAL_TABLE", "PartitionKeys": [{"Name": "day", "Type": "string"}], "Parameters": {"classification": "csv"},
            "StorageDescriptor": {"Columns": columns, "Location": f"s3://b/{table}/", "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
                                  "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.serde2.OpenCSVSerde"}}})
    equal(athena().get_database(**at, DatabaseName=name)["Database"], {"Name": name, "Description": "d", "Parameters": {"k": "v"}})
    assert name in names(pages(athena().list_databases, "DatabaseList", "NextToken", "NextToken", **at, MaxResults=1)[0], "Name")
    found = athena().get_table_metadata(**at, DatabaseName=name, TableName="one")["TableMetadata"]
    holds(found, Name="one", TableType="EXTERNAL_TABLE", Columns=columns, PartitionKeys=[{"Name": "day", "Type": "string"}])
    holds(found["Parameters"], classification="csv", location="s3://b/one", inputformat="org.apache.hadoop.mapred.TextInputFormat")
    listed, count = pages(athena().list_table_metadata, "TableMetadataList", "NextToken", "NextToken", **at, DatabaseName=name, MaxResults=1)
    equal((names(listed, "Name"), count), (["one", "two"], 2))
    equal(names(athena().list_table_metadata(**at, DatabaseName=name, Expression="t.*")["TableMetadataList"], "Name"), ["two"])
    refused("MetadataException", "nothing_here", athena().get_database, **at, DatabaseName="nothing_here")
    refused("MetadataException", "Entity Not Found", athena().get_table_metadata, **at, DatabaseName=name, TableName="nothing_here")
    refused("MetadataException", "nothing_here", athena().list_table_metadata, **at, DatabaseName="nothing_here")
    refused("ValidationException", "maxResults", athena().list_databases, **at, MaxResults=51)
