"""Glue: https://docs.aws.amazon.com/glue/latest/webapi/API_Operations.html"""
import json

from harness import ACCOUNT, REGION, bucket, client, denied, equal, holds, named, names, operations, pages, refused, role, until

NOT_FOUND = "EntityNotFoundException"


def glue():
    return client("glue")


def database():
    name = named("db").replace("-", "_")
    glue().create_database(DatabaseInput={"Name": name})
    return name


def storage(where="s3://b/t/"):
    return {"Columns": [{"Name": "a", "Type": "int"}], "Location": where, "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
            "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
            "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"}}


def table(db, name="t", **more):
    given = {"Name": name, "StorageDescriptor": storage(), "PartitionKeys": [{"Name": "day", "Type": "string"}], "TableType": "EXTERNAL_TABLE", **more}
    glue().create_table(DatabaseName=db, TableInput=given)
    return given


@operations("glue", "CreateDatabase", "GetDatabase", "GetDatabases", "UpdateDatabase", "DeleteDatabase")
def databases():
    name = named("db").replace("-", "_")
    glue().create_database(DatabaseInput={"Name": name, "Description": "d", "LocationUri": "s3://b/db/", "Parameters": {"k": "v"}})
    holds(glue().get_database(Name=name)["Database"], Name=name, Description="d", LocationUri="s3://b/db/", Parameters={"k": "v"}, CatalogId=ACCOUNT)
    assert name in names(pages(glue().get_databases, "DatabaseList", "NextToken", "NextToken", MaxResults=2)[0], "Name")
    glue().update_database(Name=name, DatabaseInput={"Name": name, "Description": "e"})
    holds(glue().get_database(Name=name)["Database"], Description="e", LocationUri=None, Parameters=None)
    # Names are kept in small letters.
    equal(glue().get_database(Name=name.upper())["Database"]["Name"], name)
    refused("AlreadyExistsException", "Database already exists", glue().create_database, DatabaseInput={"Name": name})
    refused("ValidationException", "name", glue().create_database, DatabaseInput={"Name": ""})
    refused("ValidationException", "maxResults", glue().get_databases, MaxResults=101)
    table(name)
    glue().delete_database(Name=name)
    for call, given in ((glue().get_database, {}), (glue().delete_database, {}), (glue().update_database, {"DatabaseInput": {"Name": name}})):
        refused(NOT_FOUND, f"Database {name} not found", call, Name=name, **given)
    refused(NOT_FOUND, name, glue().get_table, DatabaseName=name, Name="t")


@operations("glue", "CreateRegistry", "GetRegistry", "ListRegistries", "UpdateRegistry", "DeleteRegistry", "CreateSchema", "GetSchema", "ListSchemas",
            "UpdateSchema", "DeleteSchema", "RegisterSchemaVersion", "GetSchemaVersion", "ListSchemaVersions", "DeleteSchemaVersions",
            "GetSchemaByDefinition", "GetSchemaVersionsDiff", "CheckSchemaVersionValidity", "PutSchemaVersionMetadata", "QuerySchemaVersionMetadata",
            "RemoveSchemaVersionMetadata")
def schema_registry():
    name = named("registry")
    made = glue().create_registry(RegistryName=name, Description="d", Tags={"k": "v"})
    holds(made, RegistryArn=f"arn:aws:glue:{REGION}:{ACCOUNT}:registry/{name}", Description="d", Tags={"k": "v"})
    registry = {"RegistryId": {"RegistryName": name}}
    refused("AlreadyExistsException", name, glue().create_registry, RegistryName=name)
    glue().update_registry(**registry, Description="e")
    holds(glue().get_registry(RegistryId={"RegistryArn": made["RegistryArn"]}), RegistryName=name, Description="e", Status="AVAILABLE")
    assert name in names(pages(glue().list_registries, "Registries", "NextToken", "NextToken", MaxResults=1)[0], "RegistryName")
    refused("ValidationException", "maxResults", glue().list_registries, MaxResults=101)

    def avro(*fields):
        return json.dumps({"type": "record", "name": "Flight", "fields": [{"name": n, "type": t, **more} for n, t, more in fields]})

    first = avro(("id", "int", {}))
    schema = glue().create_schema(**registry, SchemaName="s", DataFormat="AVRO", Compatibility="BACKWARD", SchemaDefinition=first, Tags={"a": "b"})
    arn = f"arn:aws:glue:{REGION}:{ACCOUNT}:schema/{name}/s"
    holds(schema, SchemaArn=arn, LatestSchemaVersion=1, NextSchemaVersion=2, SchemaCheckpoint=1, SchemaStatus="AVAILABLE", SchemaVersionStatus="AVAILABLE")
    equal(glue().get_tags(ResourceArn=arn)["Tags"], {"a": "b"})
    of = {"SchemaId": {"SchemaName": "s", "RegistryName": name}}
    refused("AlreadyExistsException", "s", glue().create_schema, **registry, SchemaName="s", DataFormat="AVRO", Compatibility="NONE", SchemaDefinition=first)
    refused("InvalidInputException", "AVRO data format is invalid", glue().create_schema, **registry, SchemaName="t", DataFormat="AVRO", SchemaDefinition="{}")
    refused("NotImplemented", "PROTOBUF", glue().create_schema, **registry, SchemaName="t", DataFormat="PROTOBUF", SchemaDefinition="message A {}")
    same = glue().register_schema_version(**of, SchemaDefinition=json.dumps(json.loads(first), indent=2))
    holds(same, SchemaVersionId=schema["SchemaVersionId"], VersionNumber=1, Status="AVAILABLE")
    second = avro(("id", "long", {}), ("to", "string", {"default": ""}))
    holds(glue().register_schema_version(**of, SchemaDefinition=second), VersionNumber=2, Status="AVAILABLE")
    # What cannot read what was written before is kept as a failure.
    holds(glue().register_schema_version(**of, SchemaDefinition=avro(("id", "long", {}), ("from", "string", {}))), VersionNumber=3, Status="FAILURE")
    holds(glue().get_schema(**of), LatestSchemaVersion=2, NextSchemaVersion=4, Compatibility="BACKWARD", DataFormat="AVRO")
    found = glue().get_schema_version(SchemaVersionId=schema["SchemaVersionId"])
    holds(found, SchemaDefinition=first, VersionNumber=1, SchemaArn=arn, Status="AVAILABLE")
    equal(glue().get_schema_version(SchemaId={"SchemaArn": arn}, SchemaVersionNumber={"LatestVersion": True})["VersionNumber"], 2)
    equal(glue().get_schema_by_definition(**of, SchemaDefinition=first)["SchemaVersionId"], schema["SchemaVersionId"])
    refused(NOT_FOUND, "Schema version is not found", glue().get_schema_by_definition, **of, SchemaDefinition=avro(("x", "int", {})))
    equal([v["VersionNumber"] for v in pages(glue().list_schema_versions, "Schemas", "NextToken", "NextToken", **of, MaxResults=1)[0]], [1, 2, 3])
    patch = json.loads(glue().get_schema_versions_diff(**of, FirstSchemaVersionNumber={"VersionNumber": 1}, SecondSchemaVersionNumber={"VersionNumber": 2},
                                                       SchemaDiffType="SYNTAX_DIFF")["Diff"])
    assert {"op": "replace", "path": "/fields/0/type", "value": "long"} in patch, patch
    refused(NOT_FOUND, "VersionNumber: 9", glue().get_schema_versions_diff, **of, FirstSchemaVersionNumber={"VersionNumber": 9},
            SecondSchemaVersionNumber={"VersionNumber": 2}, SchemaDiffType="SYNTAX_DIFF")
    holds(glue().check_schema_version_validity(DataFormat="AVRO", SchemaDefinition=first), Valid=True)
    holds(glue().check_schema_version_validity(DataFormat="JSON", SchemaDefinition='{"type": "text"}'), Valid=False)
    refused("ValidationException", "dataFormat", glue().check_schema_version_validity, DataFormat="XML", SchemaDefinition="x")
    version = {"SchemaVersionId": schema["SchemaVersionId"]}
    pair = {"MetadataKey": "k", "MetadataValue": "v"}
    holds(glue().put_schema_version_metadata(**version, MetadataKeyValue=pair), MetadataKey="k", VersionNumber=1, LatestVersion=False, SchemaName="s")
    glue().put_schema_version_metadata(**of, SchemaVersionNumber={"VersionNumber": 1}, MetadataKeyValue={"MetadataKey": "k", "MetadataValue": "w"})
    refused("AlreadyExistsException", "k", glue().put_schema_version_metadata, **version, MetadataKeyValue=pair)
    info = glue().query_schema_version_metadata(**version)["MetadataInfoMap"]["k"]
    equal((info["MetadataValue"], [o["MetadataValue"] for o in info["OtherMetadataValueList"]]), ("v", ["w"]))
    glue().remove_schema_version_metadata(**version, MetadataKeyValue=pair)
    equal(glue().query_schema_version_metadata(**version, MetadataList=[{"MetadataKey": "k"}])["MetadataInfoMap"]["k"]["MetadataValue"], "w")
    refused(NOT_FOUND, "Metadata is not found", glue().remove_schema_version_metadata, **version, MetadataKeyValue=pair)
    for call in (glue().query_schema_version_metadata, glue().get_schema_version):
        refused(NOT_FOUND, "Schema version is not found", call, SchemaVersionId="00000000-0000-4000-8000-000000000000")
    refused("InvalidInputException", "SchemaVersionNumber", glue().update_schema, **of, Compatibility="FULL")
    glue().update_schema(**of, SchemaVersionNumber={"VersionNumber": 2}, Compatibility="FULL", Description="x")
    holds(glue().get_schema(**of), SchemaCheckpoint=2, Compatibility="FULL", Description="x")
    holds(glue().register_schema_version(**of, SchemaDefinition=avro(("id", "long", {}))), Status="AVAILABLE")
    errors = glue().delete_schema_versions(**of, Versions="1-2")["SchemaVersionErrors"]
    equal([e["VersionNumber"] for e in errors], [2])
    refused("InvalidInputException", "range", glue().delete_schema_versions, **of, Versions="3-1")
    refused(NOT_FOUND, "", glue().get_schema_version, SchemaVersionId=schema["SchemaVersionId"])
    glue().create_schema(**registry, SchemaName="j", DataFormat="JSON", Compatibility="DISABLED", SchemaDefinition='{"type": "object"}')
    refused("InvalidInputException", "DISABLED", glue().register_schema_version, SchemaId={"SchemaName": "j", "RegistryName": name}, SchemaDefinition="{}")
    refused("NotImplemented", "Compatibility BACKWARD of DataFormat JSON", glue().create_schema, **registry, SchemaName="k", DataFormat="JSON",
            Compatibility="BACKWARD", SchemaDefinition="{}")
    equal(names(glue().list_schemas(**registry)["Schemas"], "SchemaName"), ["j", "s"])
    glue().delete_schema(**of)
    for call, given in ((glue().get_schema, {}), (glue().delete_schema, {}), (glue().list_schema_versions, {}),
                        (glue().register_schema_version, {"SchemaDefinition": first})):
        refused(NOT_FOUND, "Schema is not found", call, **of, **given)
    holds(glue().delete_registry(**registry), RegistryName=name, Status="DELETING")
    for call, given in ((glue().get_registry, {}), (glue().delete_registry, {}), (glue().update_registry, {"Description": "f"}), (glue().list_schemas, {})):
        refused(NOT_FOUND, "Registry is not found", call, **registry, **given)
    refused(NOT_FOUND, "", glue().get_tags, ResourceArn=arn)


@operations("glue", "CreateUserDefinedFunction", "GetUserDefinedFunction", "GetUserDefinedFunctions", "UpdateUserDefinedFunction",
            "DeleteUserDefinedFunction")
def user_defined_functions():
    db = database()
    at = {"DatabaseName": db}
    given = {"FunctionName": "f1", "ClassName": "org.F", "OwnerName": "me", "OwnerType": "USER", "FunctionType": "REGULAR_FUNCTION",
             "ResourceUris": [{"ResourceType": "JAR", "Uri": "s3://b/f.jar"}]}
    glue().create_user_defined_function(**at, FunctionInput=given)
    glue().create_user_defined_function(**at, FunctionInput={"FunctionName": "other", "ClassName": "org.O"})
    holds(glue().get_user_defined_function(**at, FunctionName="f1")["UserDefinedFunction"], DatabaseName=db, CatalogId=ACCOUNT, **given)
    equal(names(glue().get_user_defined_functions(**at, Pattern="f.*")["UserDefinedFunctions"], "FunctionName"), ["f1"])
    equal(names(pages(glue().get_user_defined_functions, "UserDefinedFunctions", "NextToken", "NextToken", **at, Pattern="*", MaxResults=1)[0], "FunctionName"),
          ["f1", "other"])
    assert {"f1", "other"} <= set(names(glue().get_user_defined_functions(Pattern="*")["UserDefinedFunctions"], "FunctionName"))
    glue().update_user_defined_function(**at, FunctionName="f1", FunctionInput={**given, "ClassName": "org.G"})
    equal(glue().get_user_defined_function(**at, FunctionName="f1")["UserDefinedFunction"]["ClassName"], "org.G")
    refused("AlreadyExistsException", "already exists", glue().create_user_defined_function, **at, FunctionInput=given)
    refused("InvalidInputException", "can not be changed", glue().update_user_defined_function, **at, FunctionName="f1", FunctionInput={"FunctionName": "g"})
    glue().delete_user_defined_function(**at, FunctionName="f1")
    for call in (glue().get_user_defined_function, glue().delete_user_defined_function):
        refused(NOT_FOUND, "Function f1 not found", call, **at, FunctionName="f1")
    refused(NOT_FOUND, "Database", glue().get_user_defined_functions, DatabaseName="nowhere", Pattern="*")
    glue().delete_database(Name=db)
    glue().create_database(DatabaseInput={"Name": db})
    refused(NOT_FOUND, "Function other not found", glue().get_user_defined_function, **at, FunctionName="other")


@operations("glue", "GetColumnStatisticsForTable", "UpdateColumnStatisticsForTable", "DeleteColumnStatisticsForTable",
            "GetColumnStatisticsForPartition", "UpdateColumnStatisticsForPartition", "DeleteColumnStatisticsForPartition",
            "CreatePartitionIndex", "DeletePartitionIndex")
def statistics_and_indexes():
    db = database()
    table(db)
    glue().create_partition(DatabaseName=db, TableName="t", PartitionInput={"Values": ["1"], "StorageDescriptor": storage()})
    at = {"DatabaseName": db, "TableName": "t"}

    def statistics(column="a", **more):
        data = {"Type": "LONG", "LongColumnStatisticsData": {"MinimumValue": 1, "MaximumValue": 9, "NumberOfNulls": 0, "NumberOfDistinctValues": 5}}
        return {"ColumnName": column, "ColumnType": "int", "AnalyzedTime": "2024-05-01T00:00:00Z", "StatisticsData": {**data, **more}}

    for whose, calls in (({}, "table"), ({"PartitionValues": ["1"]}, "partition")):
        get, update, delete = (getattr(glue(), f"{verb}_column_statistics_for_{calls}") for verb in ("get", "update", "delete"))
        answer = update(**at, **whose, ColumnStatisticsList=[statistics(), statistics("nothing"), statistics(Type="DATE")])
        equal([(e["ColumnStatistics"]["ColumnName"], e["Error"]["ErrorCode"]) for e in answer["Errors"]],
              [("nothing", NOT_FOUND), ("a", "InvalidInputException")])
        found = get(**at, **whose, ColumnNames=["A", "b"])
        equal(found["ColumnStatisticsList"][0]["StatisticsData"], statistics()["StatisticsData"])
        equal([(e["ColumnName"], e["Error"]["ErrorCode"]) for e in found["Errors"]], [("b", NOT_FOUND)])
        delete(**at, **whose, ColumnName="a")
        refused(NOT_FOUND, "column a", delete, **at, **whose, ColumnName="a")
        wrong = {"PartitionValues": ["2"]} if whose else {}
        other = {"DatabaseName": db, "TableName": "t" if whose else "u"}
        refused(NOT_FOUND, "", get, **other, **wrong, ColumnNames=["a"])
        refused(NOT_FOUND, "", update, **other, **wrong, ColumnStatisticsList=[statistics()])
        update(**at, **whose, ColumnStatisticsList=[statistics()])
    # Statistics go with what they are of.
    glue().delete_partition(**at, PartitionValues=["1"])
    glue().create_partition(**at, PartitionInput={"Values": ["1"], "StorageDescriptor": storage()})
    equal(glue().get_column_statistics_for_partition(**at, PartitionValues=["1"], ColumnNames=["a"])["ColumnStatisticsList"], [])
    glue().create_partition_index(**at, PartitionIndex={"Keys": ["day"], "IndexName": "i"})
    equal(names(glue().get_partition_indexes(**at)["PartitionIndexDescriptorList"], "IndexName"), ["i"])
    refused("AlreadyExistsException", "i", glue().create_partition_index, **at, PartitionIndex={"Keys": ["day"], "IndexName": "i"})
    refused("InvalidInputException", "no partition key", glue().create_partition_index, **at, PartitionIndex={"Keys": ["a"], "IndexName": "j"})
    glue().delete_partition_index(**at, IndexName="i")
    refused(NOT_FOUND, "i", glue().delete_partition_index, **at, IndexName="i")
    glue().delete_table(DatabaseName=db, Name="t")
    table(db)
    equal(glue().get_column_statistics_for_table(**at, ColumnNames=["a"])["ColumnStatisticsList"], [])


@operations("glue", "StartColumnStatisticsTaskRun", "StopColumnStatisticsTaskRun", "GetColumnStatisticsTaskRun", "GetColumnStatisticsTaskRuns",
            "ListColumnStatisticsTaskRuns", "CreateColumnStatisticsTaskSettings", "UpdateColumnStatisticsTaskSettings", "GetColumnStatisticsTaskSettings",
            "DeleteColumnStatisticsTaskSettings", "StartColumnStatisticsTaskRunSchedule", "StopColumnStatisticsTaskRunSchedule")
def statistics_tasks():
    db, place = database(), bucket()
    s3, at = client("s3"), {"DatabaseName": db, "TableName": "t"}
    columns = [("n", "bigint"), ("s", "string"), ("b", "boolean"), ("p", "decimal(5,2)"), ("d", "date"), ("f", "double"), ("l", "array<int>")]
    given = {**storage(f"s3://{place}/t/"), "Columns": [{"Name": name, "Type": kind} for name, kind in columns]}
    glue().create_table(DatabaseName=db, TableInput={"Name": "t", "StorageDescriptor": given, "TableType": "EXTERNAL_TABLE",
                                                     "PartitionKeys": [{"Name": "day", "Type": "string"}]})
    lines = {"1": "1\x01abc\x01true\x011.50\x012024-01-02\x010.5\n2\x01de\x01false\x01-1.28\x012024-03-01\x01\\N\n", "2": "2\x01\\N\x01true\x01\\N\x01\\N\x01-2.5\n"}
    for day, text in lines.items():
        s3.put_object(Bucket=place, Key=f"t/day={day}/a", Body=text.encode())
        glue().create_partition(**at, PartitionInput={"Values": [day], "StorageDescriptor": {**given, "Location": f"s3://{place}/t/day={day}/"}})
    taken = role("glue")
    run = glue().start_column_statistics_task_run(**at, Role=taken)["ColumnStatisticsTaskRunId"]
    refused("ColumnStatisticsTaskRunningException", "already running", glue().start_column_statistics_task_run, **at, Role=taken)
    get = lambda: glue().get_column_statistics_task_run(ColumnStatisticsTaskRunId=run)["ColumnStatisticsTaskRun"]
    ended = until(get, lambda found: found["Status"] in ("SUCCEEDED", "FAILED"))
    equal((ended["Status"], ended.get("ErrorMessage"), ended["ColumnNameList"], ended["ComputationType"]), ("SUCCEEDED", None, ["n", "s", "b", "p", "d", "f"], "FULL"))
    found = glue().get_column_statistics_for_table(**at, ColumnNames=[name for name, _ in columns])
    equal([error["ColumnName"] for error in found["Errors"]], ["l"])
    data = {one["ColumnName"]: one["StatisticsData"] for one in found["ColumnStatisticsList"]}
    equal(data["n"]["LongColumnStatisticsData"], {"MinimumValue": 1, "MaximumValue": 2, "NumberOfNulls": 0, "NumberOfDistinctValues": 2})
    equal(data["s"]["StringColumnStatisticsData"], {"MaximumLength": 3, "AverageLength": 2.5, "NumberOfNulls": 1, "NumberOfDistinctValues": 2})
    equal(data["b"]["BooleanColumnStatisticsData"], {"NumberOfTrues": 2, "NumberOfFalses": 1, "NumberOfNulls": 0})
    equal(data["p"]["DecimalColumnStatisticsData"], {"MinimumValue": {"UnscaledValue": b"\x80", "Scale": 2}, "MaximumValue": {"UnscaledValue": b"\x00\x96", "Scale": 2},
                                                     "NumberOfNulls": 1, "NumberOfDistinctValues": 2})
    dates = data["d"]["DateColumnStatisticsData"]
    equal([dates[end].date().isoformat() for end in ("MinimumValue", "MaximumValue")], ["2024-01-02", "2024-03-01"])
    equal(data["f"]["DoubleColumnStatisticsData"], {"MinimumValue": -2.5, "MaximumValue": 0.5, "NumberOfNulls": 1, "NumberOfDistinctValues": 2})
    one = glue().get_column_statistics_for_partition(**at, PartitionValues=["2"], ColumnNames=["n", "s"])["ColumnStatisticsList"]
    equal(one[0]["StatisticsData"]["LongColumnStatisticsData"], {"MinimumValue": 2, "MaximumValue": 2, "NumberOfNulls": 0, "NumberOfDistinctValues": 1})
    equal(one[1]["StatisticsData"]["StringColumnStatisticsData"], {"MaximumLength": 0, "AverageLength": 0.0, "NumberOfNulls": 1, "NumberOfDistinctValues": 0})
    equal([each["ColumnStatisticsTaskRunId"] for each in glue().get_column_statistics_task_runs(**at)["ColumnStatisticsTaskRuns"]], [run])
    assert run in pages(glue().list_column_statistics_task_runs, "ColumnStatisticsTaskRunIds", "NextToken", "NextToken", MaxResults=1)[0]
    # A role that may read nothing.
    fails = glue().start_column_statistics_task_run(**at, Role=role("glue", "sqs:*"), ColumnNameList=["n"])["ColumnStatisticsTaskRunId"]
    ended = until(lambda: glue().get_column_statistics_task_run(ColumnStatisticsTaskRunId=fails)["ColumnStatisticsTaskRun"], lambda found: "EndTime" in found)
    equal(ended["Status"], "FAILED")
    assert ended["ErrorMessage"], ended
    # Settings, and their schedule.
    glue().create_column_statistics_task_settings(**at, Role=taken, Schedule="cron(15 12 * * ? 2099)", ColumnNameList=["n"], SampleSize=50.0)
    settings = lambda: glue().get_column_statistics_task_settings(**at)["ColumnStatisticsTaskSettings"]
    holds(settings(), Role=taken, ColumnNameList=["n"], SampleSize=50.0, ScheduleType="CRON", SettingSource="TABLE",
          Schedule={"ScheduleExpression": "cron(15 12 * * ? 2099)", "State": "SCHEDULED"})
    glue().stop_column_statistics_task_run_schedule(**at)
    equal(settings()["Schedule"]["State"], "NOT_SCHEDULED")
    glue().start_column_statistics_task_run_schedule(**at)
    equal(settings()["Schedule"]["State"], "SCHEDULED")
    glue().update_column_statistics_task_settings(**at, ColumnNameList=["s"])
    holds(settings(), ColumnNameList=["s"], SampleSize=50.0, Role=taken)
    refused("AlreadyExistsException", "", glue().create_column_statistics_task_settings, **at, Role=taken)
    refused("InvalidInputException", "array<int>", glue().update_column_statistics_task_settings, **at, ColumnNameList=["l"])
    refused("InvalidInputException", "every day", glue().create_column_statistics_task_settings, **at, Role=taken, Schedule="every day")
    glue().delete_column_statistics_task_settings(**at)
    for call, more in ((glue().get_column_statistics_task_settings, {}), (glue().update_column_statistics_task_settings, {"ColumnNameList": ["n"]}),
                       (glue().delete_column_statistics_task_settings, {}), (glue().start_column_statistics_task_run_schedule, {}),
                       (glue().stop_column_statistics_task_run_schedule, {})):
        refused(NOT_FOUND, "t", call, **at, **more)
    refused(NOT_FOUND, "nothing", glue().get_column_statistics_task_run, ColumnStatisticsTaskRunId="nothing")
    refused("ColumnStatisticsTaskNotRunningException", "t", glue().stop_column_statistics_task_run, **at)
    refused(NOT_FOUND, "", glue().start_column_statistics_task_run, DatabaseName=db, TableName="u", Role=taken)
    refused("ValidationException", "maxResults", glue().get_column_statistics_task_runs, **at, MaxResults=0)
    refused("ValidationException", "maxResults", glue().list_column_statistics_task_runs, MaxResults=0)
    # One that is stopped, whenever that is.
    glue().start_column_statistics_task_run(**at, Role=taken)
    try:
        glue().stop_column_statistics_task_run(**at)
    except glue().exceptions.ColumnStatisticsTaskNotRunningException:
        glue().start_column_statistics_task_run(**at, Role=taken)
        glue().stop_column_statistics_task_run(**at)
    last = lambda: glue().get_column_statistics_task_runs(**at)["ColumnStatisticsTaskRuns"][0]
    assert until(last, lambda found: "EndTime" in found)["Status"] in ("STOPPED", "SUCCEEDED")


@operations("glue", "CreateTable", "UpdateTable")
def open_formats():
    db, where = database(), bucket()
    at = {"DatabaseName": db}
    columns = [{"Name": "id", "Type": "bigint", "Comment": "the key"}, {"Name": "tags", "Type": "array<struct<a:int,b:string>>"}]
    given = {"Name": "Plain", "TableType": "EXTERNAL_TABLE", "StorageDescriptor": {"Columns": columns, "Location": f"s3://{where}/plain/"}}
    of_iceberg = {"IcebergInput": {"MetadataOperation": "CREATE", "Version": "2"}}
    glue().create_table(**at, TableInput=given, OpenTableFormatInput=of_iceberg)
    found = glue().get_table(**at, Name="plain")["Table"]
    holds(found["Parameters"], table_type="ICEBERG")

    def metadata(name):
        place = glue().get_table(**at, Name=name)["Table"]["Parameters"]["metadata_location"]
        bucket_name, key = place.removeprefix("s3://").split("/", 1)
        return json.loads(client("s3").get_object(Bucket=bucket_name, Key=key)["Body"].read())

    first = metadata("plain")
    holds(first, **{"format-version": 2, "location": f"s3://{where}/plain", "last-column-id": 5, "current-schema-id": 0})
    equal([(f["id"], f["name"], f.get("doc")) for f in first["schemas"][0]["fields"]], [(1, "id", "the key"), (2, "tags", None)])
    field = {"Id": 1, "Name": "id", "Type": "long", "Required": True}
    spec = {"Fields": [{"SourceId": 2, "Transform": "day", "Name": "at_day"}]}
    whole = {"Location": f"s3://{where}/own", "Schema": {"Type": "struct", "Fields": [field, {"Id": 2, "Name": "at", "Type": "timestamp", "Required": False}]},
             "PartitionSpec": spec, "Properties": {"owner": "me"},
             "WriteOrder": {"OrderId": 1, "Fields": [{"SourceId": 1, "Transform": "identity", "Direction": "asc", "NullOrder": "nulls-last"}]}}
    glue().create_table(**at, Name="own", OpenTableFormatInput={"IcebergInput": {"MetadataOperation": "CREATE", "CreateIcebergTableInput": whole}})
    own = metadata("own")
    equal(own["partition-specs"], [{"spec-id": 0, "fields": [{"source-id": 2, "field-id": 1000, "transform": "day", "name": "at_day"}]}])
    holds(own, **{"properties": {"owner": "me"}, "default-sort-order-id": 1})
    more = {"Id": 3, "Name": "price", "Type": "decimal(9,2)", "Required": False}
    change = {"Location": whole["Location"], "Schema": {**whole["Schema"], "Fields": [*whole["Schema"]["Fields"], more]}, "Properties": {"note": "x"}}

    def update(**one):
        updates = {"UpdateIcebergInput": {"UpdateIcebergTableInput": {"Updates": [{**change, **one}]}}}
        glue().update_table(**at, Name="own", UpdateOpenTableFormatInput=updates)

    update()
    now = metadata("own")
    equal((now["current-schema-id"], now["properties"], now["last-column-id"]), (1, {"owner": "me", "note": "x"}, 3))
    equal([c["Name"] for c in glue().get_table(**at, Name="own")["Table"]["StorageDescriptor"]["Columns"]], ["id", "at", "price"])
    update(Action="remove-properties", Properties={"note": ""})
    equal(metadata("own")["properties"], {"owner": "me"})
    refused("NotImplemented", "add-encryption-key", update, Action="add-encryption-key")
    refused("AlreadyExistsException", "Table already exists", glue().create_table, **at, TableInput=given, OpenTableFormatInput=of_iceberg)
    keys = {**given, "Name": "k", "PartitionKeys": [{"Name": "day", "Type": "string"}]}
    refused("InvalidInputException", "Cannot create partitions in an iceberg table", glue().create_table, **at, TableInput=keys, OpenTableFormatInput=of_iceberg)
    refused("InvalidInputException", "not supported for Iceberg", glue().create_table, **at, OpenTableFormatInput=of_iceberg, TableInput={
        **given, "Name": "k", "StorageDescriptor": {"Columns": [{"Name": "a", "Type": "tinyint"}], "Location": f"s3://{where}/k/"}})
    refused(NOT_FOUND, "Iceberg table", glue().update_table, **at, Name="nothing", UpdateOpenTableFormatInput={
        "UpdateIcebergInput": {"UpdateIcebergTableInput": {"Updates": [change]}}})


@operations("glue", "CreateTable", "GetTable", "GetTables", "UpdateTable", "DeleteTable", "BatchDeleteTable", "GetTableVersion", "GetTableVersions",
            "BatchDeleteTableVersion", "DeleteTableVersion", "SearchTables", "GetPartitionIndexes")
def tables():
    db = database()
    at = {"DatabaseName": db}
    given = table(db, "One", Parameters={"classification": "csv"}, Description="first")
    found = glue().get_table(**at, Name="one")["Table"]
    holds(found, Name="one", DatabaseName=db, Description="first", TableType="EXTERNAL_TABLE", Parameters={"classification": "csv"}, VersionId="0",
          PartitionKeys=[{"Name": "day", "Type": "string"}], CatalogId=ACCOUNT)
    holds(found["StorageDescriptor"], **storage())
    glue().update_table(**at, TableInput={**given, "Description": "second"})
    holds(glue().get_table(**at, Name="one")["Table"], Description="second", VersionId="1")
    equal([v["VersionId"] for v in glue().get_table_versions(**at, TableName="one")["TableVersions"]], ["1", "0"])
    equal(glue().get_table_version(**at, TableName="one", VersionId="0")["TableVersion"]["Table"]["Description"], "first")
    equal(glue().get_table_version(**at, TableName="one")["TableVersion"]["VersionId"], "1")
    glue().update_table(**at, TableInput={**given, "Description": "third"}, SkipArchive=True)
    equal(glue().get_table(**at, Name="one")["Table"]["Description"], "third")
    glue().delete_table_version(**at, TableName="one", VersionId="0")
    refused(NOT_FOUND, "", glue().get_table_version, **at, TableName="one", VersionId="0")
    refused(NOT_FOUND, "", glue().delete_table_version, **at, TableName="one", VersionId="0")
    glue().update_table(**at, TableInput={**given, "Description": "fourth"})
    present, *earlier = [v["VersionId"] for v in glue().get_table_versions(**at, TableName="one")["TableVersions"]]
    errors = glue().batch_delete_table_version(**at, TableName="one", VersionIds=[*earlier, present, "77"])["Errors"]
    equal([(e["TableName"], e["VersionId"], e["ErrorDetail"]["ErrorCode"]) for e in errors],
          [("one", present, "InvalidInputException"), ("one", "77", NOT_FOUND)])
    equal([v["VersionId"] for v in glue().get_table_versions(**at, TableName="one")["TableVersions"]], [present])
    refused(NOT_FOUND, "", glue().batch_delete_table_version, **at, TableName="none", VersionIds=["0"])
    for name in ("two", "three"):
        table(db, name)
    equal(sorted(names(pages(glue().get_tables, "TableList", "NextToken", "NextToken", **at, MaxResults=2)[0], "Name")), ["one", "three", "two"])
    equal(sorted(names(glue().get_tables(**at, Expression="t.*")["TableList"], "Name")), ["three", "two"])
    equal(glue().get_partition_indexes(**at, TableName="one")["PartitionIndexDescriptorList"], [])
    marked = named("word").replace("-", "")
    table(db, marked)
    equal(names(glue().search_tables(SearchText=marked)["TableList"], "Name"), [marked])
    refused("AlreadyExistsException", "Table already exists", glue().create_table, **at, TableInput=given)
    refused(NOT_FOUND, "nodb", glue().create_table, DatabaseName="nodb", TableInput=given)
    refused(NOT_FOUND, "nodb", glue().get_tables, DatabaseName="nodb")
    refused("ValidationException", "maxResults", glue().search_tables, MaxResults=0)
    for call, more in ((glue().get_table, {"Name": "none"}), (glue().delete_table, {"Name": "none"}), (glue().update_table, {"TableInput": {"Name": "none"}}),
                       (glue().get_table_versions, {"TableName": "none"}), (glue().get_partition_indexes, {"TableName": "none"})):
        refused(NOT_FOUND, "", call, **at, **more)
    errors = glue().batch_delete_table(**at, TablesToDelete=["two", "none"])["Errors"]
    equal([(e["TableName"], e["ErrorDetail"]["ErrorCode"]) for e in errors], [("none", NOT_FOUND)])
    refused(NOT_FOUND, "nodb", glue().batch_delete_table, DatabaseName="nodb", TablesToDelete=["two"])
    glue().delete_table(**at, Name="three")
    equal(sorted(names(glue().get_tables(**at)["TableList"], "Name")), ["one", marked])


@operations("glue", "CreatePartition", "BatchCreatePartition", "GetPartition", "GetPartitions", "BatchGetPartition", "UpdatePartition",
            "BatchUpdatePartition", "DeletePartition", "BatchDeletePartition")
def partitions():
    db = database()
    table(db)
    at = {"DatabaseName": db, "TableName": "t"}

    def partition(day, **more):
        return {"Values": [day], "StorageDescriptor": storage(f"s3://b/t/day={day}/"), **more}

    def days(**more):
        return sorted(p["Values"][0] for p in pages(glue().get_partitions, "Partitions", "NextToken", "NextToken", **at, **more)[0])

    glue().create_partition(**at, PartitionInput=partition("1", Parameters={"k": "v"}))
    holds(glue().get_partition(**at, PartitionValues=["1"])["Partition"], Values=["1"], DatabaseName=db, TableName="t", Parameters={"k": "v"}, CatalogId=ACCOUNT)
    errors = glue().batch_create_partition(**at, PartitionInputList=[partition("1"), partition("2"), partition("3")])["Errors"]
    equal([(e["PartitionValues"], e["ErrorDetail"]["ErrorCode"]) for e in errors], [(["1"], "AlreadyExistsException")])
    equal(days(MaxResults=1), ["1", "2", "3"])
    equal(days(Expression="day > '1' AND day <> '3'"), ["2"])
    several = glue().batch_get_partition(**at, PartitionsToGet=[{"Values": ["2"]}, {"Values": ["9"]}])
    equal(([p["Values"] for p in several["Partitions"]], several["UnprocessedKeys"]), ([["2"]], []))
    glue().update_partition(**at, PartitionValueList=["1"], PartitionInput=partition("4", Parameters={"k": "w"}))
    equal((days(), glue().get_partition(**at, PartitionValues=["4"])["Partition"]["Parameters"]), (["2", "3", "4"], {"k": "w"}))
    errors = glue().batch_update_partition(**at, Entries=[
        {"PartitionValueList": [day], "PartitionInput": partition(day, Parameters={"k": "x"})} for day in ("2", "9")])["Errors"]
    equal([(e["PartitionValueList"], e["ErrorDetail"]["ErrorCode"]) for e in errors], [(["9"], NOT_FOUND)])
    equal(glue().get_partition(**at, PartitionValues=["2"])["Partition"]["Parameters"], {"k": "x"})
    refused("AlreadyExistsException", "Partition already exists", glue().create_partition, **at, PartitionInput=partition("2"))
    refused("InvalidInputException", "", glue().create_partition, **at, PartitionInput={"Values": ["1", "2"], "StorageDescriptor": storage()})
    refused("InvalidInputException", "", glue().get_partitions, **at, Expression="day ==== 1")
    for call, more in ((glue().get_partition, {"PartitionValues": ["9"]}), (glue().delete_partition, {"PartitionValues": ["9"]}),
                       (glue().update_partition, {"PartitionValueList": ["9"], "PartitionInput": partition("9")})):
        refused(NOT_FOUND, "", call, **at, **more)
    none = {"DatabaseName": db, "TableName": "none"}
    for call, more in ((glue().get_partitions, {}), (glue().batch_get_partition, {"PartitionsToGet": [{"Values": ["1"]}]}),
                       (glue().batch_create_partition, {"PartitionInputList": [partition("1")]}), (glue().batch_delete_partition, {"PartitionsToDelete": [{"Values": ["1"]}]}),
                       (glue().batch_update_partition, {"Entries": [{"PartitionValueList": ["1"], "PartitionInput": partition("1")}]})):
        refused(NOT_FOUND, "", call, **none, **more)
    errors = glue().batch_delete_partition(**at, PartitionsToDelete=[{"Values": ["2"]}, {"Values": ["9"]}])["Errors"]
    equal([(e["PartitionValues"], e["ErrorDetail"]["ErrorCode"]) for e in errors], [(["9"], NOT_FOUND)])
    glue().delete_partition(**at, PartitionValues=["3"])
    equal(days(), ["4"])


@operations("glue", "CreateCrawler", "GetCrawler", "GetCrawlers", "BatchGetCrawlers", "ListCrawlers", "UpdateCrawler", "UpdateCrawlerSchedule",
            "StartCrawlerSchedule", "StopCrawlerSchedule", "StartCrawler", "StopCrawler", "GetCrawlerMetrics", "ListCrawls", "DeleteCrawler")
def crawlers():
    db, place, name = database(), bucket(), named("crawler")
    client("s3").put_object(Bucket=place, Key="t/a.csv", Body=b"id,name\n1,x\n2,y\n")
    target = {"S3Targets": [{"Path": f"s3://{place}/t/"}]}
    glue().create_crawler(Name=name, Role=role("glue"), DatabaseName=db, Targets=target, Description="d", Tags={"a": "1"})
    found = glue().get_crawler(Name=name)["Crawler"]
    holds(found, Name=name, DatabaseName=db, Description="d", State="READY", Version=1)
    equal(found["Targets"]["S3Targets"][0]["Path"], f"s3://{place}/t/")
    assert name in names(pages(glue().get_crawlers, "Crawlers", "NextToken", "NextToken", MaxResults=1)[0], "Name")
    several = glue().batch_get_crawlers(CrawlerNames=[name, "none"])
    equal((names(several["Crawlers"], "Name"), several["CrawlersNotFound"]), ([name], ["none"]))
    assert name in pages(glue().list_crawlers, "CrawlerNames", "NextToken", "NextToken", MaxResults=1)[0]
    equal(glue().list_crawlers(Tags={"a": "2"})["CrawlerNames"], [])
    glue().update_crawler(Name=name, Description="e", TablePrefix="p_")
    holds(glue().get_crawler(Name=name)["Crawler"], Description="e", TablePrefix="p_", Version=2, DatabaseName=db)
    refused("SchedulerNotRunningException", "", glue().stop_crawler_schedule, CrawlerName=name)
    glue().update_crawler_schedule(CrawlerName=name, Schedule="cron(15 12 * * ? *)")
    equal(glue().get_crawler(Name=name)["Crawler"]["Schedule"], {"ScheduleExpression": "cron(15 12 * * ? *)", "State": "SCHEDULED"})
    glue().stop_crawler_schedule(CrawlerName=name)
    equal(glue().get_crawler(Name=name)["Crawler"]["Schedule"]["State"], "NOT_SCHEDULED")
    glue().start_crawler_schedule(CrawlerName=name)
    equal(glue().get_crawler(Name=name)["Crawler"]["Schedule"]["State"], "SCHEDULED")
    refused("SchedulerRunningException", "", glue().start_crawler_schedule, CrawlerName=name)
    glue().start_crawler(Name=name)
    until(lambda: glue().get_crawler(Name=name)["Crawler"]["State"], lambda state: state == "READY")
    holds(glue().get_crawler(Name=name)["Crawler"]["LastCrawl"], Status="SUCCEEDED")
    made = glue().get_table(DatabaseName=db, Name="p_t")["Table"]
    equal(([(c["Name"], c["Type"]) for c in made["StorageDescriptor"]["Columns"]], made["Parameters"]["classification"]), ([("id", "bigint"), ("name", "string")], "csv"))
    metrics = glue().get_crawler_metrics(CrawlerNameList=[name])["CrawlerMetricsList"]
    equal([(m["CrawlerName"], m["TablesCreated"], m["TablesUpdated"], m["TablesDeleted"], m["StillEstimating"]) for m in metrics], [(name, 1, 0, 0, False)])
    equal(names(glue().list_crawls(CrawlerName=name)["Crawls"], "State"), ["COMPLETED"])
    # The role writes to the catalog, too.
    other = named("crawler")
    client("s3").put_object(Bucket=place, Key="u/a.csv", Body=b"id,name\n1,x\n2,y\n")
    beside = {"S3Targets": [{"Path": f"s3://{place}/u/"}]}
    glue().create_crawler(Name=other, Role=role("glue", "s3:*"), DatabaseName=db, Targets=beside, TablePrefix="q_")
    glue().start_crawler(Name=other)
    until(lambda: glue().get_crawler(Name=other)["Crawler"]["State"], lambda state: state == "READY")
    last = glue().get_crawler(Name=other)["Crawler"]["LastCrawl"]
    assert last["Status"] == "FAILED" and "glue:CreateTable" in last["ErrorMessage"], last
    refused(NOT_FOUND, "", glue().get_table, DatabaseName=db, Name="q_u")
    glue().delete_crawler(Name=other)
    refused("CrawlerNotRunningException", name, glue().stop_crawler, Name=name)

    def stopped():
        """Was a crawl stopped before its end? It is of one file."""
        glue().start_crawler(Name=name)
        try:
            glue().stop_crawler(Name=name)
        except glue().exceptions.CrawlerNotRunningException:
            return False
        finally:
            until(lambda: glue().get_crawler(Name=name)["Crawler"]["State"], lambda state: state == "READY")
        return True

    until(stopped, bool)
    refused("AlreadyExistsException", name, glue().create_crawler, Name=name, Role="r", DatabaseName=db, Targets=target)
    refused("InvalidInputException", "", glue().create_crawler, Name=named("c"), Role="r", DatabaseName=db, Targets={})
    refused("InvalidInputException", "", glue().update_crawler_schedule, CrawlerName=name, Schedule="cron(never)")
    refused("ValidationException", "maxResults", glue().get_crawlers, MaxResults=0)
    refused("ValidationException", "maxResults", glue().list_crawlers, MaxResults=0)
    refused("ValidationException", "maxResults", glue().get_crawler_metrics, MaxResults=0)
    refused("ValidationException", "crawlerNames", glue().batch_get_crawlers, CrawlerNames=["x"] * 101)
    for call in (glue().get_crawler, glue().update_crawler, glue().start_crawler, glue().stop_crawler, glue().delete_crawler):
        refused(NOT_FOUND, "none", call, Name="none")
    for call, more in ((glue().start_crawler_schedule, {}), (glue().stop_crawler_schedule, {}), (glue().update_crawler_schedule, {"Schedule": ""}), (glue().list_crawls, {})):
        refused(NOT_FOUND, "none", call, CrawlerName="none", **more)
    glue().delete_crawler(Name=name)
    refused(NOT_FOUND, name, glue().get_crawler, Name=name)


@operations("glue", "CreateClassifier", "GetClassifier", "GetClassifiers", "UpdateClassifier", "DeleteClassifier")
def classifiers():
    name = named("classifier")
    csv = {"Name": name, "Delimiter": ";", "ContainsHeader": "PRESENT", "Header": ["a", "b"]}
    glue().create_classifier(CsvClassifier=csv)
    holds(glue().get_classifier(Name=name)["Classifier"]["CsvClassifier"], **csv, Version=1)
    found = pages(glue().get_classifiers, "Classifiers", "NextToken", "NextToken", MaxResults=1)[0]
    assert name in [one["CsvClassifier"]["Name"] for one in found if "CsvClassifier" in one]
    glue().update_classifier(CsvClassifier={"Name": name, "Delimiter": "|"})
    holds(glue().get_classifier(Name=name)["Classifier"]["CsvClassifier"], Delimiter="|", Header=["a", "b"], Version=2)
    grok = named("grok")
    glue().create_classifier(GrokClassifier={"Name": grok, "Classification": "c", "GrokPattern": "%{WORD:w}"})
    holds(glue().get_classifier(Name=grok)["Classifier"]["GrokClassifier"], Classification="c", GrokPattern="%{WORD:w}")
    refused("AlreadyExistsException", name, glue().create_classifier, CsvClassifier=csv)
    refused("InvalidInputException", "", glue().create_classifier)
    refused("ValidationException", "maxResults", glue().get_classifiers, MaxResults=0)
    glue().delete_classifier(Name=name)
    refused(NOT_FOUND, name, glue().update_classifier, CsvClassifier=csv)
    for call in (glue().get_classifier, glue().delete_classifier):
        refused(NOT_FOUND, name, call, Name=name)


@operations("glue", "CreateConnection", "GetConnection", "GetConnections", "UpdateConnection", "DeleteConnection", "BatchDeleteConnection")
def connections():
    name = named("connection")
    given = {"Name": name, "ConnectionType": "JDBC", "ConnectionProperties": {
        "JDBC_CONNECTION_URL": "jdbc:postgresql://db.example.org:5432/a", "USERNAME": "u", "PASSWORD": "p"}}
    glue().create_connection(ConnectionInput=given)
    holds(glue().get_connection(Name=name)["Connection"], Name=name, ConnectionType="JDBC", ConnectionProperties=given["ConnectionProperties"])
    assert "PASSWORD" not in glue().get_connection(Name=name, HidePassword=True)["Connection"]["ConnectionProperties"]
    assert name in names(pages(glue().get_connections, "ConnectionList", "NextToken", "NextToken", Filter={"ConnectionType": "JDBC"}, MaxResults=1)[0], "Name")
    glue().update_connection(Name=name, ConnectionInput={**given, "Description": "d"})
    equal(glue().get_connection(Name=name)["Connection"]["Description"], "d")
    refused("AlreadyExistsException", "already exists", glue().create_connection, ConnectionInput=given)
    refused("ValidationException", "connectionType", glue().create_connection, ConnectionInput={**given, "Name": named("c"), "ConnectionType": "PIGEON"})
    refused("ValidationException", "maxResults", glue().get_connections, MaxResults=0)
    second = named("connection")
    glue().create_connection(ConnectionInput={**given, "Name": second})
    gone = glue().batch_delete_connection(ConnectionNameList=[second, "none"])
    equal((gone["Succeeded"], {key: e["ErrorCode"] for key, e in gone["Errors"].items()}), ([second], {"none": NOT_FOUND}))
    refused("ValidationException", "connectionNameList", glue().batch_delete_connection, ConnectionNameList=["x"] * 26)
    glue().delete_connection(ConnectionName=name)
    for call, more in ((glue().get_connection, {"Name": name}), (glue().delete_connection, {"ConnectionName": name}),
                       (glue().update_connection, {"Name": name, "ConnectionInput": given})):
        refused(NOT_FOUND, name, call, **more)


def job(name, place, code="print('done')\n", **more):
    client("s3").put_object(Bucket=place, Key=f"{name}.py", Body=code.encode())
    glue().create_job(Name=name, Role=role("glue"), Command={"Name": "pythonshell", "PythonVersion": "3.9", "ScriptLocation": f"s3://{place}/{name}.py"}, **more)


@operations("glue", "CreateJob", "GetJob", "GetJobs", "BatchGetJobs", "ListJobs", "UpdateJob", "DeleteJob", "StartJobRun", "GetJobRun", "GetJobRuns",
            "BatchStopJobRun")
def jobs():
    name, place = named("job"), bucket()
    job(name, place, Description="d", DefaultArguments={"--k": "v"}, MaxRetries=0, Timeout=10, Tags={"a": "1"})
    holds(glue().get_job(JobName=name)["Job"], Name=name, Description="d", DefaultArguments={"--k": "v"}, MaxRetries=0, Timeout=10,
          Command={"Name": "pythonshell", "PythonVersion": "3.9", "ScriptLocation": f"s3://{place}/{name}.py"}, ExecutionProperty={"MaxConcurrentRuns": 1})
    assert name in names(pages(glue().get_jobs, "Jobs", "NextToken", "NextToken", MaxResults=1)[0], "Name")
    assert name in pages(glue().list_jobs, "JobNames", "NextToken", "NextToken", MaxResults=1)[0]
    equal(glue().list_jobs(Tags={"a": "2"})["JobNames"], [])
    several = glue().batch_get_jobs(JobNames=[name, "none"])
    equal((names(several["Jobs"], "Name"), several["JobsNotFound"]), ([name], ["none"]))
    command = glue().get_job(JobName=name)["Job"]["Command"]
    equal(glue().update_job(JobName=name, JobUpdate={"Role": role("glue"), "Command": command, "Description": "e"})["JobName"], name)
    # An update says all: what it does not name goes.
    holds(glue().get_job(JobName=name)["Job"], Description="e", DefaultArguments=None)
    id = glue().start_job_run(JobName=name, Arguments={"--x": "1"})["JobRunId"]
    ended = until(lambda: glue().get_job_run(JobName=name, RunId=id)["JobRun"], lambda r: r["JobRunState"] in ("SUCCEEDED", "FAILED", "ERROR", "TIMEOUT"))
    holds(ended, Id=id, JobName=name, JobRunState="SUCCEEDED", Attempt=0, Arguments={"--x": "1"})
    equal(names(glue().get_job_runs(JobName=name)["JobRuns"], "Id"), [id])
    stopped = glue().batch_stop_job_run(JobName=name, JobRunIds=[id, "jr_none"])
    equal((stopped["SuccessfulSubmissions"], sorted(e["JobRunId"] for e in stopped["Errors"])), ([], sorted([id, "jr_none"])))
    refused("IdempotentParameterMismatchException", name, glue().create_job, Name=name, Role="r", Command=command)
    for words, given in (("10080", {"Timeout": 10081}), ("FLEX", {"ExecutionClass": "FLEX"}),
                         ("FLEX", {"ExecutionClass": "FLEX", "Command": {**command, "Name": "glueetl"}, "GlueVersion": "2.0"})):
        refused("InvalidInputException", words, glue().create_job, **{"Name": named("j"), "Role": "r", "Command": command, **given})
        refused("InvalidInputException", words, glue().update_job, JobName=name, JobUpdate={"Role": "r", "Command": command, **given})
    refused("ValidationException", "maxResults", glue().get_jobs, MaxResults=0)
    refused("ValidationException", "maxResults", glue().list_jobs, MaxResults=0)
    refused("ValidationException", "jobNames", glue().batch_get_jobs)
    refused("ValidationException", "jobRunIds", glue().batch_stop_job_run, JobName=name, JobRunIds=[])
    for call, more in ((glue().get_job, {}), (glue().start_job_run, {}), (glue().get_job_run, {"RunId": id}), (glue().get_job_runs, {}),
                       (glue().update_job, {"JobUpdate": {"Command": command}})):
        refused(NOT_FOUND, "", call, JobName="none", **more)
    refused(NOT_FOUND, "jr_none", glue().get_job_run, JobName=name, RunId="jr_none")
    denied("AccessDeniedException", "glue:DeleteJob", "delete_job", JobName=name)
    equal(glue().delete_job(JobName=name)["JobName"], name)
    refused(NOT_FOUND, name, glue().get_job, JobName=name)


@operations("glue", "CreateSession", "GetSession", "ListSessions", "StopSession", "DeleteSession", "RunStatement", "GetStatement", "ListStatements",
            "CancelStatement")
def sessions():
    name, who = named("session"), role("glue")
    asked = {"Role": who, "Command": {"Name": "glueetl", "PythonVersion": "3"}, "DefaultArguments": {"--lakerun-engine": "sail"}, "WorkerType": "G.1X",
             "NumberOfWorkers": 2, "IdleTimeout": 60, "Timeout": 120, "Tags": {"team": "a"}, "Description": "d"}
    made = glue().create_session(Id=name, **asked)["Session"]
    holds(made, Id=name, Status="PROVISIONING", Role=who, Command={"Name": "glueetl", "PythonVersion": "3"}, WorkerType="G.1X", NumberOfWorkers=2,
          MaxCapacity=2.0, IdleTimeout=60, Description="d", DefaultArguments={"--lakerun-engine": "sail"})
    refused("AlreadyExistsException", name, glue().create_session, Id=name, **asked)
    for wrong, word in (({"Command": {"Name": "glueray"}}, "glueray"), ({"DefaultArguments": {"--job-bookmark-option": "job-bookmark-enable"}}, "--job-bookmark-option"),
                        ({"DefaultArguments": {"--lakerun-engine": "connect"}}, "connect"), ({"MaxCapacity": 2.0}, "MaxCapacity"), ({"IdleTimeout": 20000}, "IdleTimeout")):
        refused("InvalidInputException", word, glue().create_session, Id=named("wrong"), **{**asked, **wrong})
    equal(glue().list_sessions(Tags={"team": "a"})["Ids"], [name])
    equal(glue().list_sessions(Tags={"team": "b"})["Sessions"], [])
    ready = until(lambda: glue().get_session(Id=name)["Session"], lambda s: s["Status"] != "PROVISIONING")
    holds(ready, Status="READY", ErrorMessage=None)
    refused("IllegalSessionStateException", name, glue().delete_session, Id=name)

    def run(code, state="AVAILABLE"):
        number = glue().run_statement(SessionId=name, Code=code)["Id"]
        ended = until(lambda: glue().get_statement(SessionId=name, Id=number)["Statement"], lambda s: s["State"] not in ("WAITING", "RUNNING", "CANCELLING"))
        holds(ended, Id=number, Code=code, State=state)
        return ended["Output"]

    holds(run("x = 20\nprint('said')\nx + 1"), Status="ok", Data={"TextPlain": "said\n21"})
    # What one statement names, the next knows.
    holds(run("x * 2"), Status="ok", Data={"TextPlain": "40"})
    holds(run("y = 1"), Status="ok", Data={"TextPlain": ""})
    holds(run("spark.createDataFrame([(1, 'a'), (2, 'b')], 'id int, name string').where('id > 1').collect()"), Data={"TextPlain": "[Row(id=2, name='b')]"})
    wrong = run("def f():\n    return 1 / 0\n\nf()")
    holds(wrong, Status="error", ErrorName="ZeroDivisionError", ErrorValue="division by zero")
    assert "return 1 / 0" in "".join(wrong["Traceback"]), wrong
    holds(run("1 +"), Status="error", ErrorName="SyntaxError")
    holds(run("import boto3; boto3.client('sts').get_caller_identity()['Arn'].split('/')[1]"), Data={"TextPlain": repr(who.rpartition("/")[2])})
    refused("InvalidInputException", "%glue_version", glue().run_statement, SessionId=name, Code="%glue_version 4.0\nprint(1)")
    # One that runs is interrupted; one that waits behind it never begins.
    slow = glue().run_statement(SessionId=name, Code="import time\nfor _ in range(6000): time.sleep(0.1)")["Id"]
    behind = glue().run_statement(SessionId=name, Code="z = 1")["Id"]
    until(lambda: glue().get_statement(SessionId=name, Id=slow)["Statement"]["State"], lambda s: s == "RUNNING")
    equal(glue().get_statement(SessionId=name, Id=behind)["Statement"]["State"], "WAITING")
    for number in (behind, slow):
        glue().cancel_statement(SessionId=name, Id=number)
    for number in (slow, behind):
        until(lambda: glue().get_statement(SessionId=name, Id=number)["Statement"]["State"], lambda s: s == "CANCELLED")
    holds(run("'z' in globals(), x"), Data={"TextPlain": "(False, 20)"})
    listed = glue().list_statements(SessionId=name)["Statements"]
    equal([s["Id"] for s in listed], list(range(1, len(listed) + 1)))
    refused(NOT_FOUND, "99", glue().get_statement, SessionId=name, Id=99)
    refused(NOT_FOUND, "99", glue().cancel_statement, SessionId=name, Id=99)
    denied("AccessDeniedException", "glue:RunStatement", "run_statement", SessionId=name, Code="1")
    equal(glue().stop_session(Id=name)["Id"], name)
    stopped = until(lambda: glue().get_session(Id=name)["Session"], lambda s: s["Status"] != "STOPPING")
    holds(stopped, Status="STOPPED")
    assert stopped["ExecutionTime"] > 0 and stopped["CompletedOn"] >= stopped["CreatedOn"], stopped
    refused("IllegalSessionStateException", "STOPPED", glue().run_statement, SessionId=name, Code="1")
    refused("IllegalSessionStateException", "STOPPED", glue().stop_session, Id=name)
    refused("ValidationException", "maxResults", glue().list_sessions, MaxResults=0)
    equal(glue().delete_session(Id=name)["Id"], name)
    for call, given in ((glue().get_session, {"Id": name}), (glue().list_statements, {"SessionId": name})):
        refused(NOT_FOUND, name, call, **given)
    for call in (glue().stop_session, glue().delete_session):
        refused("InvalidInputException", name, call, Id=name)


@operations("glue", "CreateTrigger", "GetTrigger", "GetTriggers", "BatchGetTriggers", "ListTriggers", "UpdateTrigger", "StartTrigger", "StopTrigger",
            "DeleteTrigger")
def triggers():
    name, of = named("trigger"), named("job")
    job(of, bucket())
    glue().create_trigger(Name=name, Type="SCHEDULED", Schedule="cron(15 12 * * ? *)", Actions=[{"JobName": of}], Description="d")
    holds(glue().get_trigger(Name=name)["Trigger"], Name=name, Type="SCHEDULED", State="CREATED", Schedule="cron(15 12 * * ? *)", Actions=[{"JobName": of}],
          Description="d")
    equal(glue().start_trigger(Name=name)["Name"], name)
    until(lambda: glue().get_trigger(Name=name)["Trigger"]["State"], lambda state: state == "ACTIVATED")
    glue().stop_trigger(Name=name)
    until(lambda: glue().get_trigger(Name=name)["Trigger"]["State"], lambda state: state == "DEACTIVATED")
    equal(glue().update_trigger(Name=name, TriggerUpdate={"Schedule": "cron(0 1 * * ? *)"})["Trigger"]["Schedule"], "cron(0 1 * * ? *)")
    equal(names(pages(glue().get_triggers, "Triggers", "NextToken", "NextToken", DependentJobName=of, MaxResults=1)[0], "Name"), [name])
    equal(glue().list_triggers(DependentJobName=of)["TriggerNames"], [name])
    several = glue().batch_get_triggers(TriggerNames=[name, "none"])
    equal((names(several["Triggers"], "Name"), several["TriggersNotFound"]), ([name], ["none"]))
    refused("IdempotentParameterMismatchException", name, glue().create_trigger, Name=name, Type="ON_DEMAND", Actions=[{"JobName": of}])
    refused("InvalidInputException", "", glue().create_trigger, Name=named("t"), Type="SCHEDULED", Actions=[{"JobName": of}])
    refused("ValidationException", "maxResults", glue().get_triggers, MaxResults=201)
    refused("ValidationException", "maxResults", glue().list_triggers, MaxResults=201)
    refused("ValidationException", "triggerNames", glue().batch_get_triggers)
    for call, more in ((glue().get_trigger, {}), (glue().start_trigger, {}), (glue().stop_trigger, {}), (glue().update_trigger, {"TriggerUpdate": {}})):
        refused(NOT_FOUND, "none", call, Name="none", **more)
    denied("AccessDeniedException", "glue:DeleteTrigger", "delete_trigger", Name=name)
    equal(glue().delete_trigger(Name=name)["Name"], name)
    refused(NOT_FOUND, name, glue().get_trigger, Name=name)


@operations("glue", "CreateWorkflow", "GetWorkflow", "BatchGetWorkflows", "ListWorkflows", "UpdateWorkflow", "StartWorkflowRun", "GetWorkflowRun",
            "GetWorkflowRuns", "GetWorkflowRunProperties", "PutWorkflowRunProperties", "StopWorkflowRun", "ResumeWorkflowRun", "DeleteWorkflow")
def workflows():
    name, of = named("workflow"), named("job")
    job(of, bucket())
    equal(glue().create_workflow(Name=name, Description="d", DefaultRunProperties={"a": "1"}, MaxConcurrentRuns=3, Tags={"k": "v"})["Name"], name)
    holds(glue().get_workflow(Name=name)["Workflow"], Name=name, Description="d", DefaultRunProperties={"a": "1"}, MaxConcurrentRuns=3, LastRun=None)
    equal(glue().get_tags(ResourceArn=f"arn:aws:glue:{REGION}:{ACCOUNT}:workflow/{name}")["Tags"], {"k": "v"})
    equal(glue().update_workflow(Name=name, Description="e", DefaultRunProperties={"a": "2", "b": "2"})["Name"], name)
    several = glue().batch_get_workflows(Names=[name, "none"])
    equal((names(several["Workflows"], "Description"), several["MissingWorkflows"]), (["e"], ["none"]))
    assert name in pages(glue().list_workflows, "Workflows", "NextToken", "NextToken", MaxResults=1)[0]
    refused("InvalidInputException", name, glue().start_workflow_run, Name=name)
    start = named("trigger")
    glue().create_trigger(Name=start, Type="ON_DEMAND", WorkflowName=name, Actions=[{"JobName": of}])
    equal(glue().get_trigger(Name=start)["Trigger"]["WorkflowName"], name)
    run = glue().start_workflow_run(Name=name, RunProperties={"b": "3"})["RunId"]
    equal(glue().get_workflow_run_properties(Name=name, RunId=run)["RunProperties"], {"a": "2", "b": "3"})
    glue().put_workflow_run_properties(Name=name, RunId=run, RunProperties={"c": "4"})
    equal(glue().get_workflow_run_properties(Name=name, RunId=run)["RunProperties"], {"a": "2", "b": "3", "c": "4"})
    found = until(lambda: glue().get_workflow_run(Name=name, RunId=run)["Run"], lambda found: found["Status"] != "RUNNING")
    holds(found, Name=name, WorkflowRunId=run, Status="COMPLETED")
    equal((found["Statistics"]["TotalActions"], found["Statistics"]["RunningActions"]), (1, 0))
    equal(names(glue().get_workflow_runs(Name=name)["Runs"], "WorkflowRunId"), [run])
    refused("IllegalWorkflowStateException", run, glue().stop_workflow_run, Name=name, RunId=run)
    later = []

    def stopped():
        """Was a run of the workflow stopped before its end?"""
        later.insert(0, glue().start_workflow_run(Name=name)["RunId"])
        try:
            glue().stop_workflow_run(Name=name, RunId=later[0])
        except glue().exceptions.IllegalWorkflowStateException:
            return False
        return True

    until(stopped, bool)
    until(lambda: glue().get_workflow_run(Name=name, RunId=later[0])["Run"]["Status"], lambda status: status == "STOPPED")
    equal(names(pages(glue().get_workflow_runs, "Runs", "NextToken", "NextToken", Name=name, MaxResults=1)[0], "WorkflowRunId"), [*later, run])
    equal(glue().get_workflow(Name=name)["Workflow"]["LastRun"]["Status"], "STOPPED")
    graph = glue().get_workflow_run(Name=name, RunId=run, IncludeGraph=True)["Run"]["Graph"]
    nodes = {node["Name"]: node for node in graph["Nodes"]}
    equal(graph["Edges"], [{"SourceId": nodes[start]["UniqueId"], "DestinationId": nodes[of]["UniqueId"]}])
    equal((nodes[start]["TriggerDetails"]["Trigger"]["Type"], len(nodes[of]["JobDetails"]["JobRuns"])), ("ON_DEMAND", 1))
    for answer in (glue().get_workflow(Name=name, IncludeGraph=True)["Workflow"], glue().batch_get_workflows(Names=[name], IncludeGraph=True)["Workflows"][0],
                   glue().get_workflow_runs(Name=name, IncludeGraph=True)["Runs"][0]):
        equal(sorted(names(answer["Graph"]["Nodes"], "Name")), sorted([start, of]))
    resumed = glue().resume_workflow_run(Name=name, RunId=run, NodeIds=[nodes[of]["UniqueId"]])
    equal(resumed["NodeIds"], [nodes[of]["UniqueId"]])
    found = until(lambda: glue().get_workflow_run(Name=name, RunId=resumed["RunId"])["Run"], lambda found: found["Status"] != "RUNNING")
    holds(found, PreviousRunId=run, Status="COMPLETED", WorkflowRunProperties={"a": "2", "b": "3", "c": "4"})
    refused("IllegalWorkflowStateException", later[0], glue().resume_workflow_run, Name=name, RunId=later[0], NodeIds=[nodes[of]["UniqueId"]])
    for wrong in (nodes[start]["UniqueId"], "wnode_none"):
        refused("InvalidInputException", wrong, glue().resume_workflow_run, Name=name, RunId=run, NodeIds=[wrong])
    refused("InvalidInputException", "NodeIds", glue().resume_workflow_run, Name=name, RunId=run, NodeIds=[])
    refused(NOT_FOUND, "wr_none", glue().resume_workflow_run, Name=name, RunId="wr_none", NodeIds=["x"])
    refused("AlreadyExistsException", name, glue().create_workflow, Name=name)
    refused("ValidationException", "maxResults", glue().list_workflows, MaxResults=26)
    refused("ValidationException", "names", glue().batch_get_workflows)
    for call in (glue().get_workflow, glue().update_workflow, glue().start_workflow_run, glue().get_workflow_runs):
        refused(NOT_FOUND, "none", call, Name="none")
    for call, more in ((glue().get_workflow_run, {}), (glue().get_workflow_run_properties, {}), (glue().stop_workflow_run, {}),
                       (glue().put_workflow_run_properties, {"RunProperties": {}})):
        refused(NOT_FOUND, "wr_none", call, Name=name, RunId="wr_none", **more)
    denied("AccessDeniedException", "glue:DeleteWorkflow", "delete_workflow", Name=name)
    equal(glue().delete_workflow(Name=name)["Name"], name)
    refused(NOT_FOUND, name, glue().get_workflow, Name=name)
    refused(NOT_FOUND, start, glue().get_trigger, Name=start)


@operations("glue", "CreateSecurityConfiguration", "GetSecurityConfiguration", "GetSecurityConfigurations", "DeleteSecurityConfiguration")
def security_configurations():
    name, of = named("security"), named("job")
    asked = {"S3Encryption": [{"S3EncryptionMode": "SSE-S3"}], "CloudWatchEncryption": {"CloudWatchEncryptionMode": "DISABLED"}}
    made = glue().create_security_configuration(Name=name, EncryptionConfiguration=asked)
    assert made["CreatedTimestamp"]
    holds(glue().get_security_configuration(Name=name)["SecurityConfiguration"], Name=name, EncryptionConfiguration=asked)
    glue().create_security_configuration(Name=name + "2", EncryptionConfiguration={})
    found, count = pages(glue().get_security_configurations, "SecurityConfigurations", "NextToken", "NextToken", MaxResults=1)
    assert {name, name + "2"} <= set(names(found, "Name"))
    refused("AlreadyExistsException", name, glue().create_security_configuration, Name=name, EncryptionConfiguration=asked)
    for wrong, word in (({"S3Encryption": [{"S3EncryptionMode": "SSE-KMS"}]}, "KmsKeyArn"), ({"S3Encryption": [{"S3EncryptionMode": "SSE-S3"}] * 2}, "one"),
                        ({"CloudWatchEncryption": {"CloudWatchEncryptionMode": "SSE-KMS", "KmsKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/x"}}, "CloudWatchEncryptionMode"),
                        ({"JobBookmarksEncryption": {"JobBookmarksEncryptionMode": "CSE-KMS"}}, "JobBookmarksEncryptionMode")):
        refused("InvalidInputException", word, glue().create_security_configuration, Name=named("wrong"), EncryptionConfiguration=wrong)
    job(of, bucket())
    refused(NOT_FOUND, "nothing-here", glue().start_job_run, JobName=of, SecurityConfiguration="nothing-here")
    equal(glue().get_job_run(JobName=of, RunId=glue().start_job_run(JobName=of, SecurityConfiguration=name)["JobRunId"])["JobRun"]["SecurityConfiguration"], name)
    refused("ValidationException", "maxResults", glue().get_security_configurations, MaxResults=0)
    denied("AccessDeniedException", "glue:DeleteSecurityConfiguration", "delete_security_configuration", Name=name)
    glue().delete_security_configuration(Name=name)
    for call in (glue().get_security_configuration, glue().delete_security_configuration):
        refused(NOT_FOUND, name, call, Name=name)


@operations("glue", "CreateDataQualityRuleset", "GetDataQualityRuleset", "ListDataQualityRulesets", "UpdateDataQualityRuleset", "DeleteDataQualityRuleset",
            "ListDataQualityResults")
def data_quality():
    db, name = database(), named("rules")
    table(db)
    equal(glue().create_data_quality_ruleset(Name=name, Ruleset="Rules = [ RowCount > 1 ]", TargetTable={"DatabaseName": db, "TableName": "t"})["Name"], name)
    holds(glue().get_data_quality_ruleset(Name=name), Name=name, Ruleset="Rules = [ RowCount > 1 ]", TargetTable={"DatabaseName": db, "TableName": "t"})
    found = pages(glue().list_data_quality_rulesets, "Rulesets", "NextToken", "NextToken", Filter={"TargetTable": {"DatabaseName": db, "TableName": "t"}})[0]
    equal(names(found, "Name"), [name])
    holds(glue().update_data_quality_ruleset(Name=name, Ruleset="Rules = [ RowCount > 2, ColumnCount = 1 ]"), Name=name)
    equal(glue().get_data_quality_ruleset(Name=name)["Ruleset"], "Rules = [ RowCount > 2, ColumnCount = 1 ]")
    assert isinstance(glue().list_data_quality_results()["Results"], list)
    refused("AlreadyExistsException", name, glue().create_data_quality_ruleset, Name=name, Ruleset="Rules = [ RowCount > 1 ]")
    refused("InvalidInputException", "", glue().create_data_quality_ruleset, Name=named("r"), Ruleset="not a ruleset")
    refused("ValidationException", "maxResults", glue().list_data_quality_rulesets, MaxResults=0)
    refused("ValidationException", "maxResults", glue().list_data_quality_results, MaxResults=0)
    glue().delete_data_quality_ruleset(Name=name)
    for call in (glue().get_data_quality_ruleset, glue().delete_data_quality_ruleset, glue().update_data_quality_ruleset):
        refused(NOT_FOUND, name, call, Name=name)


@operations("glue", "GetDataQualityResult", "BatchGetDataQualityResult", only_refused="results come of jobs on Spark, which conformance/glue runs")
def data_quality_results():
    refused(NOT_FOUND, "dqresult-none", glue().get_data_quality_result, ResultId="dqresult-none")
    equal(glue().batch_get_data_quality_result(ResultIds=["dqresult-none"])["ResultsNotFound"], ["dqresult-none"])
    refused("ValidationException", "resultIds", glue().batch_get_data_quality_result, ResultIds=[])


@operations("glue", "GetJobBookmark", "ResetJobBookmark", only_refused="bookmarks come of jobs on Spark, which conformance/glue runs")
def bookmarks():
    for call in (glue().get_job_bookmark, glue().reset_job_bookmark):
        refused(NOT_FOUND, "none", call, JobName="none")


@operations("glue", "PutResourcePolicy", "GetResourcePolicy", "DeleteResourcePolicy")
def resource_policies():
    def policy(action):
        return json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": action, "Resource": f"arn:aws:glue:{REGION}:{ACCOUNT}:catalog"}]})

    changed = "ConditionCheckFailureException"
    for call in (glue().get_resource_policy, glue().delete_resource_policy):
        refused(NOT_FOUND, "olicy", call)
    refused(changed, "olicy", glue().put_resource_policy, PolicyInJson=policy("glue:GetTable"), PolicyExistsCondition="MUST_EXIST")
    first = glue().put_resource_policy(PolicyInJson=policy("glue:GetTable"), PolicyExistsCondition="NOT_EXIST")["PolicyHash"]
    found = glue().get_resource_policy()
    equal((json.loads(found["PolicyInJson"]), found["PolicyHash"]), (json.loads(policy("glue:GetTable")), first))
    equal(found["CreateTime"], found["UpdateTime"])
    refused(changed, "olicy", glue().put_resource_policy, PolicyInJson=policy("glue:GetTables"), PolicyExistsCondition="NOT_EXIST")
    second = glue().put_resource_policy(PolicyInJson=policy("glue:GetTables"), PolicyHashCondition=first, PolicyExistsCondition="MUST_EXIST")["PolicyHash"]
    assert second != first, second
    refused(changed, "olicy", glue().put_resource_policy, PolicyInJson=policy("glue:GetTable"), PolicyHashCondition=first)
    refused(changed, "olicy", glue().delete_resource_policy, PolicyHashCondition=first)
    refused("InvalidInputException", "olicy", glue().put_resource_policy, PolicyInJson="not JSON")
    refused("ValidationException", "policyInJson", glue().put_resource_policy, PolicyInJson="{")
    refused("ValidationException", "policyExistsCondition", glue().put_resource_policy, PolicyInJson=policy("glue:GetTable"), PolicyExistsCondition="PERHAPS")
    kept = glue().get_resource_policy()
    holds(kept, PolicyHash=second, CreateTime=found["CreateTime"])
    equal(json.loads(kept["PolicyInJson"]), json.loads(policy("glue:GetTables")))
    denied("AccessDeniedException", "glue:PutResourcePolicy", "put_resource_policy", PolicyInJson=policy("*"))
    glue().delete_resource_policy(PolicyHashCondition=second)
    refused(NOT_FOUND, "olicy", glue().get_resource_policy)


@operations("glue", "TagResource", "UntagResource", "GetTags")
def tags():
    name = named("job")
    job(name, bucket(), Tags={"a": "1"})
    arn = f"arn:aws:glue:{REGION}:{ACCOUNT}:job/{name}"
    glue().tag_resource(ResourceArn=arn, TagsToAdd={"a": "2", "b": ""})
    equal(glue().get_tags(ResourceArn=arn)["Tags"], {"a": "2", "b": ""})
    glue().untag_resource(ResourceArn=arn, TagsToRemove=["a", "never"])
    equal(glue().get_tags(ResourceArn=arn)["Tags"], {"b": ""})
    no = arn.replace(name, "none")
    for call, more in ((glue().tag_resource, {"TagsToAdd": {"a": "1"}}), (glue().untag_resource, {"TagsToRemove": ["a"]}), (glue().get_tags, {})):
        refused(NOT_FOUND, "", call, ResourceArn=no, **more)
