"""Lambda: https://docs.aws.amazon.com/lambda/latest/api/API_Operations.html"""
import base64
import hashlib
import json

from harness import ACCOUNT, REGION, client, denied, equal, holds, named, names, operations, pages, refused, role, until, zipped

CODE = zipped(m="import os\ndef h(e, c):\n    if e == 'bad': raise ValueError('bad')\n    return [e, os.environ.get('MODE'), c.function_version]\n")
GONE = "Function not found"


def lam():
    return client("lambda")


def arn(name):
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


def function(**more):
    name = named("function")
    lam().create_function(**{"FunctionName": name, "Runtime": "python3.11", "Handler": "m.h", "Role": role("lambda"), "Code": {"ZipFile": CODE}, **more})
    until(lambda: lam().get_function_configuration(FunctionName=name)["State"], lambda state: state == "Active")
    return name


def missing(call, **given):
    refused("ResourceNotFoundException", f"{GONE}: {arn('nothing-here')}", call, FunctionName="nothing-here", **given)


@operations("lambda", "CreateFunction", "GetFunction", "GetFunctionConfiguration", "ListFunctions", "UpdateFunctionConfiguration", "UpdateFunctionCode",
            "DeleteFunction", "Invoke", "InvokeWithResponseStream", "GetFunctionCodeSigningConfig")
def functions():
    name = function(Environment={"Variables": {"MODE": "one"}}, Timeout=7, MemorySize=256, Description="d")
    sha = base64.b64encode(hashlib.sha256(CODE).digest()).decode()
    found = lam().get_function_configuration(FunctionName=name)
    holds(found, FunctionName=name, FunctionArn=arn(name), Runtime="python3.11", Handler="m.h", Timeout=7, MemorySize=256, Description="d", Version="$LATEST",
          CodeSha256=sha, CodeSize=len(CODE), Environment={"Variables": {"MODE": "one"}}, PackageType="Zip", LastUpdateStatus="Successful",
          Architectures=["x86_64"], TracingConfig={"Mode": "PassThrough"}, EphemeralStorage={"Size": 512})
    equal(lam().get_function(FunctionName=arn(name))["Configuration"]["CodeSha256"], sha)
    answer = lam().invoke(FunctionName=name, Payload=json.dumps({"x": 1}))
    equal((answer["StatusCode"], answer["ExecutedVersion"], json.load(answer["Payload"])), (200, "$LATEST", [{"x": 1}, "one", "$LATEST"]))
    failed = lam().invoke(FunctionName=name, Payload='"bad"')
    equal((failed["StatusCode"], failed["FunctionError"]), (200, "Unhandled"))
    holds(json.load(failed["Payload"]), errorType="ValueError", errorMessage="bad")
    equal(lam().invoke(FunctionName=name, InvocationType="DryRun")["StatusCode"], 204)
    answer = lam().invoke_with_response_stream(FunctionName=name, Payload="2")
    pieces, end = list(answer["EventStream"])
    equal((answer["StatusCode"], answer["ExecutedVersion"], json.loads(pieces["PayloadChunk"]["Payload"]), end), (200, "$LATEST", [2, "one", "$LATEST"], {"InvokeComplete": {}}))
    failed, = list(lam().invoke_with_response_stream(FunctionName=name, Payload='"bad"')["EventStream"])
    equal((failed["InvokeComplete"]["ErrorCode"], json.loads(failed["InvokeComplete"]["ErrorDetails"])["errorMessage"]), ("ValueError", "bad"))
    missing(lam().invoke_with_response_stream)
    denied("AccessDeniedException", "lambda:InvokeFunction", "invoke_with_response_stream", FunctionName=name)
    lam().update_function_configuration(FunctionName=name, Environment={"Variables": {"MODE": "two"}}, Timeout=8)
    until(lambda: lam().get_function_configuration(FunctionName=name)["LastUpdateStatus"], lambda status: status == "Successful")
    holds(lam().get_function_configuration(FunctionName=name), Timeout=8, MemorySize=256)
    equal(json.load(lam().invoke(FunctionName=name, Payload="1")["Payload"]), [1, "two", "$LATEST"])
    other = zipped(m="def h(e, c): return 'other'")
    dry = lam().update_function_code(FunctionName=name, ZipFile=other, DryRun=True)["CodeSha256"]
    assert dry != sha and lam().get_function_configuration(FunctionName=name)["CodeSha256"] == sha
    equal(lam().update_function_code(FunctionName=name, ZipFile=other)["CodeSha256"], dry)
    equal(json.load(lam().invoke(FunctionName=name)["Payload"]), "other")
    listed = {f["FunctionName"]: f for f in pages(lam().list_functions, "Functions", "NextMarker", "Marker", MaxItems=2)[0]}
    equal(listed[name]["FunctionArn"], arn(name))
    equal(lam().get_function_code_signing_config(FunctionName=name)["FunctionName"], name)
    refused("ResourceConflictException", f"Function already exist: {name}", lam().create_function, FunctionName=name, Runtime="python3.11", Handler="m.h",
            Role=role("lambda"), Code={"ZipFile": CODE})
    refused("InvalidParameterValueException", "unzip", lam().update_function_code, FunctionName=name, ZipFile=b"not a zip")
    refused("ValidationException", "timeout", lam().update_function_configuration, FunctionName=name, Timeout=901)
    refused("InvalidRequestContentException", "Could not parse request body into json", lam().invoke, FunctionName=name, Payload="{")
    refused("ValidationException", "maxItems", lam().list_functions, MaxItems=0)
    for call in (lam().get_function, lam().get_function_configuration, lam().invoke, lam().delete_function, lam().get_function_code_signing_config):
        missing(call)
    lam().delete_function(FunctionName=name)
    refused("ResourceNotFoundException", GONE, lam().get_function, FunctionName=name)


@operations("lambda", "PublishVersion", "ListVersionsByFunction", "CreateAlias", "GetAlias", "UpdateAlias", "ListAliases", "DeleteAlias")
def versions_and_aliases():
    name = function(Environment={"Variables": {"MODE": "one"}})
    first = lam().publish_version(FunctionName=name, Description="v")
    holds(first, Version="1", FunctionArn=f"{arn(name)}:1", Description="v")
    # Nothing has changed: the version is the same.
    equal(lam().publish_version(FunctionName=name)["Version"], "1")
    lam().update_function_configuration(FunctionName=name, Environment={"Variables": {"MODE": "two"}})
    until(lambda: lam().get_function_configuration(FunctionName=name)["LastUpdateStatus"], lambda status: status == "Successful")
    equal(lam().publish_version(FunctionName=name)["Version"], "2")
    equal(names(lam().list_versions_by_function(FunctionName=name)["Versions"], "Version"), ["$LATEST", "1", "2"])
    made = lam().create_alias(FunctionName=name, Name="live", FunctionVersion="1", Description="d")
    holds(made, AliasArn=f"{arn(name)}:live", Name="live", FunctionVersion="1", Description="d")
    holds(lam().get_alias(FunctionName=name, Name="live"), AliasArn=made["AliasArn"], FunctionVersion="1", RevisionId=made["RevisionId"])
    equal(json.load(lam().invoke(FunctionName=name, Qualifier="live", Payload="0")["Payload"]), [0, "one", "1"])
    lam().update_alias(FunctionName=name, Name="live", FunctionVersion="2")
    equal(json.load(lam().invoke(FunctionName=f"{name}:live", Payload="0")["Payload"]), [0, "two", "2"])
    weights = {"AdditionalVersionWeights": {"1": 0.5}}
    equal(lam().update_alias(FunctionName=name, Name="live", RoutingConfig=weights)["RoutingConfig"], weights)
    for version, weight, code, words in (("2", 0.5, "InvalidParameterValueException", "already included"), ("$LATEST", 0.5, "ValidationException", "[0-9]+"),
                                         ("9", 0.5, "ResourceNotFoundException", f"{GONE}: {arn(name)}:9"), ("1", 1.5, "ValidationException", "less than or equal to 1.0")):
        refused(code, words, lam().update_alias, FunctionName=name, Name="live", RoutingConfig={"AdditionalVersionWeights": {version: weight}})
    refused("InvalidParameterValueException", "cannot be greater than 1", lam().create_alias, FunctionName=name, Name="both", FunctionVersion="2",
            RoutingConfig={"AdditionalVersionWeights": {"1": 0.2, "9": 0.1}})
    refused("InvalidParameterValueException", "more than 1 version", lam().create_alias, FunctionName=name, Name="both", FunctionVersion="$LATEST",
            RoutingConfig={"AdditionalVersionWeights": {"1": 0.2}})
    equal(lam().get_alias(FunctionName=name, Name="live")["RoutingConfig"], weights)
    refused("RequestTooLargeException", "limit 6291456 bytes", lam().invoke, FunctionName=name, Payload="1" * 6291457)
    lam().create_alias(FunctionName=name, Name="old", FunctionVersion="1")
    equal(sorted(names(pages(lam().list_aliases, "Aliases", "NextMarker", "Marker", FunctionName=name, MaxItems=1)[0], "Name")), ["live", "old"])
    equal(names(lam().list_aliases(FunctionName=name, FunctionVersion="2")["Aliases"], "Name"), ["live"])
    refused("ResourceConflictException", "Alias already exists", lam().create_alias, FunctionName=name, Name="live", FunctionVersion="1")
    refused("ResourceNotFoundException", f"{GONE}: {arn(name)}:9", lam().create_alias, FunctionName=name, Name="new", FunctionVersion="9")
    refused("PreconditionFailedException", "Revision", lam().update_alias, FunctionName=name, Name="live", RevisionId=made["RevisionId"])
    for call in (lam().get_alias, lam().update_alias):
        refused("ResourceNotFoundException", f"Cannot find alias arn: {arn(name)}:none", call, FunctionName=name, Name="none")
    refused("ResourceConflictException", "", lam().delete_function, FunctionName=name, Qualifier="1")
    for call, given in ((lam().publish_version, {}), (lam().list_versions_by_function, {}), (lam().list_aliases, {})):
        missing(call, **given)
    refused("ResourceNotFoundException", "nothing-here", lam().delete_alias, FunctionName="nothing-here", Name="live")
    lam().delete_alias(FunctionName=name, Name="old")
    equal(names(lam().list_aliases(FunctionName=name)["Aliases"], "Name"), ["live"])


@operations("lambda", "PutFunctionConcurrency", "GetFunctionConcurrency", "DeleteFunctionConcurrency", "PutFunctionEventInvokeConfig",
            "GetFunctionEventInvokeConfig", "DeleteFunctionEventInvokeConfig", "GetAccountSettings", "ListProvisionedConcurrencyConfigs")
def settings():
    before = lam().get_account_settings()
    name = function()
    lam().put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=7)
    after = lam().get_account_settings()
    equal(before["AccountLimit"]["UnreservedConcurrentExecutions"] - after["AccountLimit"]["UnreservedConcurrentExecutions"], 7)
    equal(after["AccountUsage"]["FunctionCount"] - before["AccountUsage"]["FunctionCount"], 1)
    assert after["AccountUsage"]["TotalCodeSize"] > before["AccountUsage"]["TotalCodeSize"], (before, after)
    denied("AccessDeniedException", "lambda:GetAccountSettings", "get_account_settings")
    lam().delete_function_concurrency(FunctionName=name)
    lam().publish_version(FunctionName=name)
    equal(lam().list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"], [])
    lam().put_provisioned_concurrency_config(FunctionName=name, Qualifier="1", ProvisionedConcurrentExecutions=1)
    [listed] = lam().list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"]
    holds(listed, FunctionArn=f"{arn(name)}:1", RequestedProvisionedConcurrentExecutions=1)
    lam().delete_provisioned_concurrency_config(FunctionName=name, Qualifier="1")
    missing(lam().list_provisioned_concurrency_configs)
    assert "ReservedConcurrentExecutions" not in lam().get_function_concurrency(FunctionName=name)
    equal(lam().put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)["ReservedConcurrentExecutions"], 0)
    equal(lam().get_function_concurrency(FunctionName=name)["ReservedConcurrentExecutions"], 0)
    refused("TooManyRequestsException", "Rate Exceeded", lam().invoke, FunctionName=name)
    lam().delete_function_concurrency(FunctionName=name)
    assert "ReservedConcurrentExecutions" not in lam().get_function_concurrency(FunctionName=name)
    refused("ValidationException", "reservedConcurrentExecutions", lam().put_function_concurrency, FunctionName=name, ReservedConcurrentExecutions=-1)
    for call in (lam().get_function_concurrency, lam().delete_function_concurrency):
        missing(call)
    queue = client("sqs").create_queue(QueueName=named("queue"))["QueueUrl"].rsplit("/", 1)[1]
    to = {"OnFailure": {"Destination": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"}}
    put = lam().put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=1, MaximumEventAgeInSeconds=60, DestinationConfig=to)
    holds(put, FunctionArn=f"{arn(name)}:$LATEST", MaximumRetryAttempts=1, MaximumEventAgeInSeconds=60)
    holds(lam().get_function_event_invoke_config(FunctionName=name), FunctionArn=f"{arn(name)}:$LATEST", MaximumRetryAttempts=1, MaximumEventAgeInSeconds=60)
    equal(lam().get_function_event_invoke_config(FunctionName=name)["DestinationConfig"]["OnFailure"], to["OnFailure"])
    # A put says all.
    assert "MaximumEventAgeInSeconds" not in lam().put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
    lam().delete_function_event_invoke_config(FunctionName=name)
    text = f"The function {arn(name)}:$LATEST doesn't have an EventInvokeConfig"
    refused("ResourceNotFoundException", text, lam().get_function_event_invoke_config, FunctionName=name)
    refused("ResourceNotFoundException", "EventInvokeConfig", lam().delete_function_event_invoke_config, FunctionName=name)
    refused("ValidationException", "maximumRetryAttempts", lam().put_function_event_invoke_config, FunctionName=name, MaximumRetryAttempts=3)


@operations("lambda", "CreateEventSourceMapping", "GetEventSourceMapping", "ListEventSourceMappings", "UpdateEventSourceMapping", "DeleteEventSourceMapping")
def event_source_mappings():
    name, queue = function(), named("queue")
    client("sqs").create_queue(QueueName=queue)
    source = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}"
    made = lam().create_event_source_mapping(FunctionName=name, EventSourceArn=source, BatchSize=5, Enabled=False)
    id = made["UUID"]
    holds(made, EventSourceArn=source, FunctionArn=arn(name), BatchSize=5, MaximumBatchingWindowInSeconds=0)
    until(lambda: lam().get_event_source_mapping(UUID=id)["State"], lambda state: state == "Disabled")
    holds(lam().get_event_source_mapping(UUID=id), UUID=id, BatchSize=5, EventSourceArn=source)
    lam().update_event_source_mapping(UUID=id, BatchSize=6, Enabled=True)
    until(lambda: lam().get_event_source_mapping(UUID=id)["State"], lambda state: state == "Enabled")
    equal(lam().get_event_source_mapping(UUID=id)["BatchSize"], 6)
    for by in ({"FunctionName": name}, {"EventSourceArn": source}):
        equal(names(lam().list_event_source_mappings(**by)["EventSourceMappings"], "UUID"), [id])
    refused("ResourceConflictException", id, lam().create_event_source_mapping, FunctionName=name, EventSourceArn=source)
    refused("InvalidParameterValueException", "", lam().create_event_source_mapping, FunctionName=name, EventSourceArn=source + "x")
    refused("InvalidParameterValueException", "event sources", lam().create_event_source_mapping, FunctionName=name,
            EventSourceArn=f"arn:aws:s3:::{queue}")
    refused("ResourceNotFoundException", GONE, lam().create_event_source_mapping, FunctionName="nothing-here", EventSourceArn=source)
    refused("ValidationException", "maxItems", lam().list_event_source_mappings, MaxItems=0)
    equal(lam().delete_event_source_mapping(UUID=id)["UUID"], id)
    until(lambda: lam().list_event_source_mappings(FunctionName=name)["EventSourceMappings"], lambda found: found == [])
    for call in (lam().get_event_source_mapping, lam().update_event_source_mapping, lam().delete_event_source_mapping):
        refused("ResourceNotFoundException", "The resource you requested does not exist", call, UUID=id)


@operations("lambda", "CreateEventSourceMapping", "UpdateEventSourceMapping")
def mappings_of_streams():
    name, table = function(), named("table")
    made = client("dynamodb").create_table(
        TableName=table, KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}], StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"})
    stream = made["TableDescription"]["LatestStreamArn"]
    whole = {"FunctionName": name, "EventSourceArn": stream, "StartingPosition": "TRIM_HORIZON", "Enabled": False}
    create = lambda **more: lam().create_event_source_mapping(**{**whole, **more})
    invalid = "InvalidParameterValueException"
    refused(invalid, "Unsupported starting position for arn type: AT_TIMESTAMP", create, StartingPosition="AT_TIMESTAMP")
    for age in (0, 59):
        refused(invalid, "MaximumRecordAgeInSeconds", create, MaximumRecordAgeInSeconds=age)
    for member, value in (("MaximumRecordAgeInSeconds", 604801), ("MaximumRetryAttempts", 10001), ("ParallelizationFactor", 0),
                          ("ParallelizationFactor", 11), ("TumblingWindowInSeconds", 901)):
        refused("ValidationException", member[0].lower() + member[1:], create, **{member: value})
    refused(invalid, "together with TumblingWindowInSeconds", create, ParallelizationFactor=2, TumblingWindowInSeconds=1)
    refused(invalid, "scalingConfig", create, ScalingConfig={"MaximumConcurrency": 2})
    made = create(TumblingWindowInSeconds=30, DestinationConfig={"OnFailure": {"Destination": "arn:aws:s3:::discarded"}})
    holds(made, TumblingWindowInSeconds=30, ParallelizationFactor=1, MaximumRecordAgeInSeconds=-1, MaximumRetryAttempts=-1, BatchSize=100)
    update = lambda **more: lam().update_event_source_mapping(UUID=made["UUID"], **more)
    refused(invalid, "together with TumblingWindowInSeconds", update, ParallelizationFactor=2)
    refused(invalid, "MaximumRecordAgeInSeconds", update, MaximumRecordAgeInSeconds=1)
    holds(update(ParallelizationFactor=10, TumblingWindowInSeconds=0), ParallelizationFactor=10, TumblingWindowInSeconds=0)
    lam().delete_event_source_mapping(UUID=made["UUID"])
    queue = named("queue")
    client("sqs").create_queue(QueueName=queue)
    made = lam().create_event_source_mapping(FunctionName=name, EventSourceArn=f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}", Enabled=False)
    refused(invalid, "tumblingWindowInSeconds", update, TumblingWindowInSeconds=5)
    refused(invalid, "parallelizationFactor", update, ParallelizationFactor=5)
    lam().delete_event_source_mapping(UUID=made["UUID"])


@operations("lambda", "AddPermission", "GetPolicy", "RemovePermission", "TagResource", "UntagResource", "ListTags")
def permissions_and_tags():
    name = function(Tags={"a": "1"})
    said = json.loads(lam().add_permission(FunctionName=name, StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com",
                                           SourceArn="arn:aws:s3:::b")["Statement"])
    holds(said, Sid="s3", Effect="Allow", Principal={"Service": "s3.amazonaws.com"}, Action="lambda:InvokeFunction", Resource=arn(name),
          Condition={"ArnLike": {"AWS:SourceArn": "arn:aws:s3:::b"}})
    equal(json.loads(lam().get_policy(FunctionName=name)["Policy"])["Statement"], [said])
    text = "The statement id (s3) provided already exists"
    refused("ResourceConflictException", text, lam().add_permission, FunctionName=name, StatementId="s3", Action="lambda:InvokeFunction",
            Principal="s3.amazonaws.com")
    refused("ResourceNotFoundException", "sns", lam().remove_permission, FunctionName=name, StatementId="sns")
    lam().remove_permission(FunctionName=name, StatementId="s3")
    refused("ResourceNotFoundException", "", lam().get_policy, FunctionName=name)
    lam().tag_resource(Resource=arn(name), Tags={"a": "2", "b": ""})
    equal(lam().list_tags(Resource=arn(name))["Tags"], {"a": "2", "b": ""})
    lam().untag_resource(Resource=arn(name), TagKeys=["a", "never"])
    equal(lam().list_tags(Resource=arn(name))["Tags"], {"b": ""})
    for call, given in ((lam().tag_resource, {"Tags": {"a": "1"}}), (lam().untag_resource, {"TagKeys": ["a"]}), (lam().list_tags, {})):
        refused("ResourceNotFoundException", GONE, call, Resource=arn("nothing-here"), **given)


@operations("lambda", "PublishLayerVersion", "GetLayerVersion", "GetLayerVersionByArn", "ListLayers", "ListLayerVersions", "DeleteLayerVersion",
            "AddLayerVersionPermission", "GetLayerVersionPolicy", "RemoveLayerVersionPermission")
def layers():
    name = named("layer")
    made = lam().publish_layer_version(LayerName=name, Content={"ZipFile": CODE}, CompatibleRuntimes=["python3.11"], Description="d")
    layer = f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:{name}"
    holds(made, LayerArn=layer, LayerVersionArn=f"{layer}:1", Version=1, Description="d", CompatibleRuntimes=["python3.11"])
    equal(lam().publish_layer_version(LayerName=name, Content={"ZipFile": CODE})["Version"], 2)
    holds(lam().get_layer_version(LayerName=name, VersionNumber=1), LayerVersionArn=f"{layer}:1", Description="d")
    holds(lam().get_layer_version_by_arn(Arn=f"{layer}:2"), Version=2, LayerArn=layer)
    equal(names(lam().list_layer_versions(LayerName=name)["LayerVersions"], "Version"), [2, 1])
    found = {one["LayerName"]: one["LatestMatchingVersion"]["Version"] for one in pages(lam().list_layers, "Layers", "NextMarker", "Marker")[0]}
    equal(found[name], 2)
    at = {"LayerName": name, "VersionNumber": 1}
    said = lam().add_layer_version_permission(**at, StatementId="all", Action="lambda:GetLayerVersion", Principal="*")["Statement"]
    equal(json.loads(lam().get_layer_version_policy(**at)["Policy"])["Statement"], [json.loads(said)])
    refused("ResourceConflictException", "all", lam().add_layer_version_permission, **at, StatementId="all", Action="lambda:GetLayerVersion", Principal="*")
    lam().remove_layer_version_permission(**at, StatementId="all")
    refused("ResourceNotFoundException", "", lam().get_layer_version_policy, **at)
    refused("ResourceNotFoundException", "", lam().remove_layer_version_permission, **at, StatementId="all")
    refused("InvalidParameterValueException", "", lam().publish_layer_version, LayerName=name, Content={"ZipFile": b"not a zip"})
    refused("ValidationException", "maxItems", lam().list_layer_versions, LayerName=name, MaxItems=51)
    refused("ValidationException", "maxItems", lam().list_layers, MaxItems=51)
    lam().delete_layer_version(**at)
    refused("ResourceNotFoundException", "", lam().get_layer_version, **at)
    refused("ResourceNotFoundException", "", lam().get_layer_version_by_arn, Arn=f"{layer}:1")
    denied("AccessDeniedException", "lambda:DeleteLayerVersion", "delete_layer_version", **at)


@operations("lambda", "CreateFunctionUrlConfig", "GetFunctionUrlConfig", "UpdateFunctionUrlConfig", "ListFunctionUrlConfigs", "DeleteFunctionUrlConfig")
def function_urls():
    name = function()
    made = lam().create_function_url_config(FunctionName=name, AuthType="AWS_IAM", Cors={"AllowOrigins": ["https://a.example"]})
    holds(made, FunctionArn=arn(name), AuthType="AWS_IAM", InvokeMode="BUFFERED")
    assert made["FunctionUrl"].startswith("http"), made
    holds(lam().get_function_url_config(FunctionName=name), FunctionUrl=made["FunctionUrl"], AuthType="AWS_IAM", Cors={"AllowOrigins": ["https://a.example"]})
    holds(lam().update_function_url_config(FunctionName=name, AuthType="NONE"), FunctionUrl=made["FunctionUrl"], AuthType="NONE")
    equal([(c["FunctionArn"], c["AuthType"]) for c in lam().list_function_url_configs(FunctionName=name)["FunctionUrlConfigs"]], [(arn(name), "NONE")])
    refused("ResourceConflictException", "", lam().create_function_url_config, FunctionName=name, AuthType="NONE")
    refused("ValidationException", "authType", lam().update_function_url_config, FunctionName=name, AuthType="PERHAPS")
    missing(lam().create_function_url_config, AuthType="NONE")
    missing(lam().list_function_url_configs)
    lam().delete_function_url_config(FunctionName=name)
    equal(lam().list_function_url_configs(FunctionName=name)["FunctionUrlConfigs"], [])
    for call in (lam().get_function_url_config, lam().delete_function_url_config):
        refused("ResourceNotFoundException", "", call, FunctionName=name)


DURABLE = zipped(m="""
import boto3
def h(event, context):
    la, arn, token = boto3.client("lambda"), event["DurableExecutionArn"], event["CheckpointToken"]
    operations = event["InitialExecutionState"]["Operations"]
    asked = [one for one in operations if one["Type"] == "CALLBACK"]
    if not asked:
        seen = la.get_durable_execution_state(DurableExecutionArn=arn, CheckpointToken=token, Marker="", MaxItems=10)["Operations"]
        start = {"Id": "ask", "Name": "ask", "Type": "CALLBACK", "Action": "START", "CallbackOptions": {"TimeoutSeconds": 500, "HeartbeatTimeoutSeconds": 400}}
        told = la.checkpoint_durable_execution(DurableExecutionArn=arn, CheckpointToken=token, Updates=[start, {"Id": "s", "Type": "STEP", "Action": "SUCCEED", "Payload": str(len(seen))}])
        assert told["CheckpointToken"] != token and {one["Id"] for one in told["NewExecutionState"]["Operations"]} == {"ask", "s"}, told
        print("token", arn, told["CheckpointToken"])
        return {"Status": "PENDING"}
    if asked[0]["Status"] == "FAILED":
        return {"Status": "FAILED", "Error": asked[0]["CallbackDetails"]["Error"]}
    step = next(one for one in operations if one["Type"] == "STEP")
    return {"Status": "SUCCEEDED", "Result": asked[0]["CallbackDetails"]["Result"] + step["StepDetails"]["Result"] + operations[0]["ExecutionDetails"]["InputPayload"]}
""")


@operations("lambda", "CheckpointDurableExecution", "GetDurableExecution", "GetDurableExecutionHistory", "GetDurableExecutionState",
            "ListDurableExecutionsByFunction", "SendDurableExecutionCallbackFailure", "SendDurableExecutionCallbackHeartbeat",
            "SendDurableExecutionCallbackSuccess", "StopDurableExecution", "PauseDurableExecution", "ResumeDurableExecution", "DeleteDurableExecution")
def durable_executions():
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "lambda:*", "Resource": "*"}]}
    own = role("lambda")
    client("iam").put_role_policy(RoleName=own.rpartition("/")[2], PolicyName="durable", PolicyDocument=json.dumps(policy))
    name = function(Code={"ZipFile": DURABLE}, Role=own, Timeout=60, DurableConfig={"ExecutionTimeout": 600})

    def begun(payload):
        answer = lam().invoke(FunctionName=name, Qualifier="$LATEST", InvocationType="Event", Payload=payload)
        equal(answer["StatusCode"], 202)
        at = answer["DurableExecutionArn"]
        history = until(lambda: lam().get_durable_execution_history(DurableExecutionArn=at)["Events"],
                        lambda events: any(e["EventType"] == "InvocationCompleted" for e in events))
        equal([e["EventType"] for e in history], ["ExecutionStarted", "CallbackStarted", "StepSucceeded", "InvocationCompleted"])
        return at, history[1]["CallbackStartedDetails"]["CallbackId"]

    def over(at):
        return until(lambda: lam().get_durable_execution(DurableExecutionArn=at), lambda found: found["Status"] != "RUNNING")

    at, callback = begun("1")
    lam().send_durable_execution_callback_heartbeat(CallbackId=callback)
    lam().send_durable_execution_callback_success(CallbackId=callback, Result=b"yes")
    holds(over(at), Status="SUCCEEDED", Result="yes11", DurableExecutionArn=at, InputPayload="1")
    at, callback = begun("2")
    lam().send_durable_execution_callback_failure(CallbackId=callback, Error={"ErrorType": "No", "ErrorMessage": "never"})
    holds(over(at), Status="FAILED", Error={"ErrorType": "No", "ErrorMessage": "never"})
    at, callback = begun("3")
    said = until(lambda: [e["message"].split() for e in client("logs").filter_log_events(logGroupName=f"/aws/lambda/{name}", filterPattern="token")["events"]],
                 lambda lines: any(line[1] == at for line in lines))
    token = next(line[2] for line in said if line[1] == at)
    state = lam().get_durable_execution_state(DurableExecutionArn=at, CheckpointToken=token, MaxItems=2)
    equal([one["Type"] for one in state["Operations"]], ["EXECUTION", "CALLBACK"])
    rest = lam().get_durable_execution_state(DurableExecutionArn=at, CheckpointToken=token, Marker=state["NextMarker"])
    equal([(one["Type"], one["Status"]) for one in rest["Operations"]], [("STEP", "SUCCEEDED")])
    update = {"Id": "more", "Type": "WAIT", "Action": "START", "WaitOptions": {"WaitSeconds": 300}}
    told = lam().checkpoint_durable_execution(DurableExecutionArn=at, CheckpointToken=token, Updates=[update], ClientToken="mine")
    holds(told["NewExecutionState"]["Operations"][0], Id="more", Type="WAIT", Status="STARTED")
    # The same again, as after an answer that was lost.
    equal(lam().checkpoint_durable_execution(DurableExecutionArn=at, CheckpointToken=token, Updates=[update], ClientToken="mine")["CheckpointToken"], told["CheckpointToken"])
    refused("InvalidParameterValueException", "the operation has started", lam().checkpoint_durable_execution, DurableExecutionArn=at,
            CheckpointToken=told["CheckpointToken"], Updates=[update])
    assert lam().stop_durable_execution(DurableExecutionArn=at, Error={"ErrorMessage": "enough"})["StopTimestamp"]
    holds(over(at), Status="STOPPED", Error={"ErrorMessage": "enough"})
    listed = lam().list_durable_executions_by_function(FunctionName=name, Statuses=["STOPPED", "FAILED"])["DurableExecutions"]
    equal([one["Status"] for one in listed], ["FAILED", "STOPPED"])
    # Paused while it waits: the callback is taken, the function is not called.
    paused, waits = begun("1")
    lam().pause_durable_execution(DurableExecutionArn=paused, Reason="why", ExecutionTimeoutPaused=True, ClientToken="once")
    found = lam().get_durable_execution(DurableExecutionArn=paused)
    equal((found["Status"], found["PauseDetails"]["Reason"], found["PauseDetails"]["ExecutionTimeoutPaused"]), ("PAUSED", "why", True))
    lam().pause_durable_execution(DurableExecutionArn=paused, ClientToken="once")
    refused("ResourceConflictException", "PAUSED", lam().pause_durable_execution, DurableExecutionArn=paused)
    refused("ResourceConflictException", "PAUSED", lam().delete_durable_execution, DurableExecutionArn=paused)
    lam().send_durable_execution_callback_success(CallbackId=waits, Result=b"yes")
    equal([one["Status"] for one in lam().list_durable_executions_by_function(FunctionName=name, Statuses=["PAUSED"])["DurableExecutions"]], ["PAUSED"])
    lam().resume_durable_execution(DurableExecutionArn=paused, Reason="now")
    holds(over(paused), Status="SUCCEEDED", Result="yes11", PauseDetails=None)
    events = [e["EventType"] for e in lam().get_durable_execution_history(DurableExecutionArn=paused)["Events"]]
    equal([e for e in events if e in ("ExecutionPaused", "CallbackSucceeded", "ExecutionResumed")], ["ExecutionPaused", "CallbackSucceeded", "ExecutionResumed"])
    refused("ResourceConflictException", "SUCCEEDED", lam().resume_durable_execution, DurableExecutionArn=paused)
    refused("ResourceConflictException", "SUCCEEDED", lam().pause_durable_execution, DurableExecutionArn=paused)
    assert lam().delete_durable_execution(DurableExecutionArn=paused)["DeletionRequestTimestamp"]
    gone = at[:-3] + "xyz"
    refused("ResourceNotFoundException", "Durable execution not found", lam().get_durable_execution, DurableExecutionArn=paused)
    for call in (lam().get_durable_execution, lam().get_durable_execution_history, lam().stop_durable_execution, lam().pause_durable_execution,
                 lam().resume_durable_execution, lam().delete_durable_execution):
        refused("ResourceNotFoundException", "Durable execution not found", call, DurableExecutionArn=gone)
    missing(lam().list_durable_executions_by_function)
    refused("InvalidParameterValueException", "Invalid checkpoint token", lam().checkpoint_durable_execution, DurableExecutionArn=at, CheckpointToken="AAAA")
    refused("InvalidParameterValueException", "Invalid checkpoint token", lam().get_durable_execution_state, DurableExecutionArn=at, CheckpointToken="AAAA")
    refused("CallbackTimeoutException", "", lam().send_durable_execution_callback_success, CallbackId=callback, Result=b"1")
    for call in (lam().send_durable_execution_callback_success, lam().send_durable_execution_callback_failure, lam().send_durable_execution_callback_heartbeat):
        refused("ResourceNotFoundException", "Callback not found", call, CallbackId="AAAA")
    refused("ValidationException", "durableExecutionArn", lam().get_durable_execution, DurableExecutionArn="arn:aws:lambda:us-east-1:000000000000:function:x")
    denied("AccessDeniedException", "lambda:GetDurableExecution", "get_durable_execution", DurableExecutionArn=at)


@operations("lambda", "UpdateFunctionConfiguration", "Invoke")
def variables_under_a_key():
    kms = client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    secret = "plain-" + named("word")
    name = function(Environment={"Variables": {"MODE": secret}}, KMSKeyArn=key)
    holds(lam().get_function_configuration(FunctionName=name), KMSKeyArn=key, Environment={"Variables": {"MODE": secret}})
    grant, = kms.list_grants(KeyId=key)["Grants"]
    holds(grant, Operations=["Decrypt"], Constraints={"EncryptionContextEquals": {"aws:lambda:FunctionArn": arn(name)}})
    equal(json.load(lam().invoke(FunctionName=name, Payload="1")["Payload"]), [1, secret, "$LATEST"])
    # Who may not decrypt is told of everything else.
    iam, user = client("iam"), named("reader")
    iam.create_user(UserName=user)
    allow = {"Effect": "Allow", "Action": "lambda:GetFunctionConfiguration", "Resource": "*"}
    iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": allow}))
    keys = iam.create_access_key(UserName=user)["AccessKey"]
    shown = client("lambda", keys["AccessKeyId"], keys["SecretAccessKey"]).get_function_configuration(FunctionName=name)["Environment"]
    equal((shown["Error"]["ErrorCode"], "Variables" in shown), ("AccessDeniedException", False))
    # Another key, and what was there is under it; a disabled key makes both readers and invocations fail.
    second = kms.create_key()["KeyMetadata"]["Arn"]
    lam().update_function_configuration(FunctionName=name, KMSKeyArn=second)
    until(lambda: lam().get_function_configuration(FunctionName=name)["LastUpdateStatus"], lambda status: status == "Successful")
    kms.disable_key(KeyId=second)
    equal(lam().get_function_configuration(FunctionName=name)["Environment"]["Error"]["ErrorCode"], "DisabledException")
    refused("KMSDisabledException", "the KMS key used is disabled", lam().invoke, FunctionName=name, Payload="1")
    kms.enable_key(KeyId=second)
    lam().update_function_configuration(FunctionName=name, KMSKeyArn="")
    until(lambda: lam().get_function_configuration(FunctionName=name)["LastUpdateStatus"], lambda status: status == "Successful")
    found = lam().get_function_configuration(FunctionName=name)
    equal(("KMSKeyArn" in found, found["Environment"]), (False, {"Variables": {"MODE": secret}}))
    gone = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{'0' * 8}-0000-0000-0000-{'0' * 12}"
    refused("InvalidParameterValueException", "KMS Exception: NotFoundException", lam().update_function_configuration, FunctionName=name, KMSKeyArn=gone)
    lam().update_function_configuration(FunctionName=name, KMSKeyArn=second)
    lam().delete_function(FunctionName=name)
    equal(kms.list_grants(KeyId=second)["Grants"], [])
