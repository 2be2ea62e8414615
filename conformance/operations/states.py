"""Step Functions: https://docs.aws.amazon.com/step-functions/latest/apireference/API_Operations.html"""
import json

from harness import ACCOUNT, REGION, client, equal, holds, named, names, operations, pages, refused, role, until

PASS = {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}}
WAIT = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 3600, "End": True}}}


def sfn():
    return client("states")


def arn(kind, name):
    return f"arn:aws:states:{REGION}:{ACCOUNT}:{kind}:{name}"


def machine(definition=None, **more):
    name = named("machine")
    return sfn().create_state_machine(name=name, definition=json.dumps(definition or PASS), roleArn=role("states"), **more)["stateMachineArn"]


def ended(execution):
    return until(lambda: sfn().describe_execution(executionArn=execution), lambda e: e["status"] not in ("RUNNING", "PENDING_REDRIVE"))


def missing(call, key="stateMachineArn", kind="stateMachine", code="StateMachineDoesNotExist", **given):
    refused(code, arn(kind, "nothing-here"), call, **{key: arn(kind, "nothing-here")}, **given)


@operations("states", "CreateStateMachine", "DescribeStateMachine", "ListStateMachines", "UpdateStateMachine", "DeleteStateMachine",
            "ValidateStateMachineDefinition", "TestState")
def state_machines():
    name, who = named("machine"), role("states")
    made = sfn().create_state_machine(name=name, definition=json.dumps(PASS), roleArn=who, tags=[{"key": "a", "value": "1"}])["stateMachineArn"]
    equal(made, arn("stateMachine", name))
    # The same again is the same; another of the name is refused.
    equal(sfn().create_state_machine(name=name, definition=json.dumps(PASS), roleArn=who)["stateMachineArn"], made)
    refused("StateMachineAlreadyExists", made, sfn().create_state_machine, name=name, definition=json.dumps(WAIT), roleArn=who)
    found = sfn().describe_state_machine(stateMachineArn=made)
    holds(found, stateMachineArn=made, name=name, status="ACTIVE", roleArn=who, type="STANDARD", tracingConfiguration={"enabled": False})
    equal(json.loads(found["definition"]), PASS)
    listed = {m["stateMachineArn"]: (m["name"], m["type"]) for m in pages(sfn().list_state_machines, "stateMachines", "nextToken", "nextToken", maxResults=1)[0]}
    equal(listed[made], (name, "STANDARD"))
    changed = sfn().update_state_machine(stateMachineArn=made, definition=json.dumps(WAIT))
    equal(json.loads(sfn().describe_state_machine(stateMachineArn=made)["definition"]), WAIT)
    equal(sfn().describe_state_machine(stateMachineArn=made)["revisionId"], changed["revisionId"])
    valid = sfn().validate_state_machine_definition(definition=json.dumps(PASS))
    equal((valid["result"], valid["diagnostics"]), ("OK", []))
    wrong = sfn().validate_state_machine_definition(definition=json.dumps({"StartAt": "X", "States": PASS["States"]}))
    equal((wrong["result"], {d["severity"] for d in wrong["diagnostics"]}), ("FAIL", {"ERROR"}))
    assert "StartAt" in json.dumps(wrong["diagnostics"]), wrong
    tested = sfn().test_state(definition=json.dumps({"Type": "Pass", "Parameters": {"b.$": "$.a"}, "Next": "N"}), roleArn=who, input='{"a": 1}')
    equal((tested["status"], json.loads(tested["output"]), tested["nextState"]), ("SUCCEEDED", {"b": 1}, "N"))
    refused("InvalidDefinition", "StartAt", sfn().create_state_machine, name=named("m"), definition=json.dumps({"StartAt": "X", **{"States": PASS["States"]}}), roleArn=who)
    refused("InvalidName", "", sfn().create_state_machine, name="a b", definition=json.dumps(PASS), roleArn=who)
    refused("InvalidArn", "", sfn().describe_state_machine, stateMachineArn="not an arn")
    refused("InvalidToken", "", sfn().list_state_machines, nextToken="nowhere")
    refused("InvalidDefinition", "", sfn().test_state, definition="{}", roleArn=who)
    refused("ValidationException", "maxResults", sfn().validate_state_machine_definition, definition="{}", maxResults=101)
    missing(sfn().describe_state_machine)
    missing(sfn().update_state_machine, definition=json.dumps(PASS))
    sfn().delete_state_machine(stateMachineArn=made)
    until(lambda: pages(sfn().list_state_machines, "stateMachines", "nextToken", "nextToken")[0], lambda all: made not in names(all, "stateMachineArn"))
    refused("InvalidArn", "", sfn().delete_state_machine, stateMachineArn="not an arn")


@operations("states", "StartExecution", "DescribeExecution", "ListExecutions", "GetExecutionHistory", "StopExecution", "RedriveExecution",
            "DescribeStateMachineForExecution", "StartSyncExecution")
def executions():
    of, name = machine(), named("e")
    made = sfn().start_execution(stateMachineArn=of, name=name, input='{"a": 1}')["executionArn"]
    equal(made, arn("execution", f"{of.rpartition(':')[2]}:{name}"))
    holds(ended(made), status="SUCCEEDED", input='{"a": 1}', output='{"a": 1}', name=name, stateMachineArn=of)
    equal([e["type"] for e in sfn().get_execution_history(executionArn=made)["events"]],
          ["ExecutionStarted", "PassStateEntered", "PassStateExited", "ExecutionSucceeded"])
    equal(pages(sfn().get_execution_history, "events", "nextToken", "nextToken", executionArn=made, maxResults=2)[1], 2)
    holds(sfn().describe_state_machine_for_execution(executionArn=made), stateMachineArn=of, definition=json.dumps(PASS))
    equal([(e["executionArn"], e["status"]) for e in sfn().list_executions(stateMachineArn=of, statusFilter="SUCCEEDED")["executions"]], [(made, "SUCCEEDED")])
    equal(sfn().list_executions(stateMachineArn=of, statusFilter="FAILED")["executions"], [])
    refused("ExecutionAlreadyExists", made, sfn().start_execution, stateMachineArn=of, name=name, input="{}")
    refused("InvalidExecutionInput", "", sfn().start_execution, stateMachineArn=of, input="{")
    refused("ExecutionNotRedrivable", "", sfn().redrive_execution, executionArn=made)
    waiting = machine(WAIT)
    long = sfn().start_execution(stateMachineArn=waiting)["executionArn"]
    sfn().stop_execution(executionArn=long, error="E", cause="by hand")
    holds(ended(long), status="ABORTED", error="E", cause="by hand")
    sfn().redrive_execution(executionArn=long)
    holds(sfn().describe_execution(executionArn=long), status="RUNNING", redriveCount=1)
    sfn().stop_execution(executionArn=long)
    express = machine(type="EXPRESS")
    answer = sfn().start_sync_execution(stateMachineArn=express, input='{"a": 2}')
    equal((answer["status"], answer["output"]), ("SUCCEEDED", '{"a": 2}'))
    refused("StateMachineTypeNotSupported", "", sfn().start_sync_execution, stateMachineArn=of)
    missing(sfn().start_execution)
    missing(sfn().list_executions)
    for call in (sfn().describe_execution, sfn().get_execution_history, sfn().stop_execution, sfn().describe_state_machine_for_execution):
        missing(call, "executionArn", f"execution:{of.rpartition(':')[2]}", "ExecutionDoesNotExist")


@operations("states", "CreateActivity", "DescribeActivity", "ListActivities", "DeleteActivity", "GetActivityTask", "SendTaskSuccess", "SendTaskFailure",
            "SendTaskHeartbeat")
def activities():
    name = named("activity")
    made = sfn().create_activity(name=name)["activityArn"]
    equal(made, arn("activity", name))
    holds(sfn().describe_activity(activityArn=made), activityArn=made, name=name)
    assert made in names(pages(sfn().list_activities, "activities", "nextToken", "nextToken", maxResults=1)[0], "activityArn")
    of = machine({"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": made, "End": True}}})
    for finish, wanted in ((lambda token: sfn().send_task_success(taskToken=token, output='{"done": true}'), {"status": "SUCCEEDED", "output": '{"done": true}'}),
                           (lambda token: sfn().send_task_failure(taskToken=token, error="E", cause="c"), {"status": "FAILED", "error": "E", "cause": "c"})):
        execution = sfn().start_execution(stateMachineArn=of, input='{"x": 1}')["executionArn"]
        task = sfn().get_activity_task(activityArn=made, workerName="w")
        equal(task["input"], '{"x": 1}')
        sfn().send_task_heartbeat(taskToken=task["taskToken"])
        finish(task["taskToken"])
        holds(ended(execution), **wanted)
    for call, given in ((sfn().send_task_success, {"output": "{}"}), (sfn().send_task_failure, {}), (sfn().send_task_heartbeat, {})):
        refused("InvalidToken", "Invalid Token", call, taskToken="not a token", **given)
    refused("InvalidName", "", sfn().create_activity, name="a b")
    refused("InvalidToken", "", sfn().list_activities, nextToken="nowhere")
    sfn().delete_activity(activityArn=made)
    refused("ActivityDoesNotExist", made, sfn().describe_activity, activityArn=made)
    refused("ActivityDoesNotExist", made, sfn().get_activity_task, activityArn=made)
    refused("InvalidArn", "", sfn().delete_activity, activityArn="not an arn")


@operations("states", "PublishStateMachineVersion", "ListStateMachineVersions", "DeleteStateMachineVersion", "CreateStateMachineAlias",
            "DescribeStateMachineAlias", "ListStateMachineAliases", "UpdateStateMachineAlias", "DeleteStateMachineAlias")
def versions_and_aliases():
    of = machine()
    equal(sfn().publish_state_machine_version(stateMachineArn=of, description="d")["stateMachineVersionArn"], f"{of}:1")
    # Nothing has changed: the version is the same.
    equal(sfn().publish_state_machine_version(stateMachineArn=of)["stateMachineVersionArn"], f"{of}:1")
    sfn().update_state_machine(stateMachineArn=of, definition=json.dumps({**PASS, "Comment": "two"}))
    equal(sfn().publish_state_machine_version(stateMachineArn=of)["stateMachineVersionArn"], f"{of}:2")
    equal(names(sfn().list_state_machine_versions(stateMachineArn=of)["stateMachineVersions"], "stateMachineVersionArn"), [f"{of}:2", f"{of}:1"])
    route = [{"stateMachineVersionArn": f"{of}:1", "weight": 100}]
    live = sfn().create_state_machine_alias(name="live", routingConfiguration=route, description="d")["stateMachineAliasArn"]
    equal(live, f"{of}:live")
    holds(sfn().describe_state_machine_alias(stateMachineAliasArn=live), name="live", description="d", routingConfiguration=route)
    equal(names(sfn().list_state_machine_aliases(stateMachineArn=of)["stateMachineAliases"], "stateMachineAliasArn"), [live])
    run = sfn().start_execution(stateMachineArn=live)["executionArn"]
    holds(ended(run), stateMachineVersionArn=f"{of}:1", stateMachineAliasArn=live)
    both = [{"stateMachineVersionArn": f"{of}:{n}", "weight": 50} for n in (1, 2)]
    sfn().update_state_machine_alias(stateMachineAliasArn=live, routingConfiguration=both)
    equal(sfn().describe_state_machine_alias(stateMachineAliasArn=live)["routingConfiguration"], both)
    refused("ConflictException", "", sfn().delete_state_machine_version, stateMachineVersionArn=f"{of}:1")
    refused("ConflictException", "", sfn().create_state_machine_alias, name="live", routingConfiguration=both)
    refused("ValidationException", "", sfn().create_state_machine_alias, name="odd", routingConfiguration=[{**route[0], "weight": 99}])
    refused("ResourceNotFound", "does not exist", sfn().describe_state_machine_alias, stateMachineAliasArn=f"{of}:none")
    refused("InvalidArn", "", sfn().delete_state_machine_alias, stateMachineAliasArn="not an arn")
    refused("ResourceNotFound", "", sfn().update_state_machine_alias, stateMachineAliasArn=f"{of}:none", description="x")
    missing(sfn().publish_state_machine_version)
    refused("InvalidArn", "", sfn().list_state_machine_versions, stateMachineArn="not an arn")
    refused("InvalidArn", "", sfn().list_state_machine_aliases, stateMachineArn="not an arn")
    sfn().delete_state_machine_alias(stateMachineAliasArn=live)
    sfn().delete_state_machine_version(stateMachineVersionArn=f"{of}:1")
    equal(names(sfn().list_state_machine_versions(stateMachineArn=of)["stateMachineVersions"], "stateMachineVersionArn"), [f"{of}:2"])


@operations("states", "ListMapRuns", "DescribeMapRun", "UpdateMapRun")
def map_runs():
    each = {"StartAt": "M", "States": {"M": {
        "Type": "Map", "ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, **WAIT}, "MaxConcurrency": 2, "End": True}}}
    execution = sfn().start_execution(stateMachineArn=machine(each), input="[1, 2, 3]")["executionArn"]
    run = until(lambda: sfn().list_map_runs(executionArn=execution)["mapRuns"], bool)[0]["mapRunArn"]
    found = until(lambda: sfn().describe_map_run(mapRunArn=run), lambda r: r["itemCounts"]["running"] == 2)
    holds(found, mapRunArn=run, executionArn=execution, status="RUNNING", maxConcurrency=2)
    equal((found["itemCounts"]["total"], found["itemCounts"]["pending"]), (3, 1))
    sfn().update_map_run(mapRunArn=run, maxConcurrency=3)
    equal(until(lambda: sfn().describe_map_run(mapRunArn=run), lambda r: r["itemCounts"]["running"] == 3)["maxConcurrency"], 3)
    sfn().stop_execution(executionArn=execution)
    until(lambda: sfn().describe_map_run(mapRunArn=run)["status"], lambda status: status == "ABORTED")
    refused("ValidationException", "maxConcurrency", sfn().update_map_run, mapRunArn=run, maxConcurrency=-1)
    no = run[:-4] + "0000"
    refused("ResourceNotFound", "", sfn().describe_map_run, mapRunArn=no)
    missing(sfn().list_map_runs, "executionArn", "execution:m", "ExecutionDoesNotExist")


@operations("states", "TagResource", "UntagResource", "ListTagsForResource")
def tags():
    of = machine(tags=[{"key": "a", "value": "1"}])
    sfn().tag_resource(resourceArn=of, tags=[{"key": "a", "value": "2"}, {"key": "b", "value": ""}])
    equal(sorted(sfn().list_tags_for_resource(resourceArn=of)["tags"], key=str), [{"key": "a", "value": "2"}, {"key": "b", "value": ""}])
    sfn().untag_resource(resourceArn=of, tagKeys=["a", "never"])
    equal(sfn().list_tags_for_resource(resourceArn=of)["tags"], [{"key": "b", "value": ""}])
    for call, given in ((sfn().tag_resource, {"tags": [{"key": "a", "value": "1"}]}), (sfn().untag_resource, {"tagKeys": ["a"]}), (sfn().list_tags_for_resource, {})):
        missing(call, "resourceArn", code="ResourceNotFound", **given)
