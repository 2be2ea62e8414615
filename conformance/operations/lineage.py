"""Where data comes from and goes: models/lineage.json."""
import json

from harness import bucket, client, equal, named, operations, refused, role, until


def lineage():
    return client("lineage")


@operations("lineage", "GetLineage")
def graph():
    place = bucket()
    put = {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:s3:putObject", "Parameters": {"Bucket": place, "Key": "out.json", "Body": {"a": 1}}, "End": True}
    of = client("states").create_state_machine(name=named("writer"), roleArn=role("states"),
                                               definition=json.dumps({"StartAt": "Put", "States": {"Put": put}}))["stateMachineArn"]
    execution = client("states").start_execution(stateMachineArn=of)["executionArn"]
    until(lambda: client("states").describe_execution(executionArn=execution)["status"], lambda status: status == "SUCCEEDED")
    asked = {"Resource": f"s3://{place}/out.json", "Direction": "UPSTREAM", "Detail": "OBJECT"}
    found = until(lambda: lineage().get_lineage(**asked), lambda graph: graph["Edges"])
    assert "WROTE" in {edge["Type"] for edge in found["Edges"]}, found
    assert execution in json.dumps(found, default=str), found
    equal(found["Truncated"], False)
    # What nothing has written comes from nowhere.
    equal(lineage().get_lineage(Resource=f"s3://{place}/none.json")["Edges"], [])
    refused("ValidationException", "direction", lineage().get_lineage, Resource=f"s3://{place}/out.json", Direction="SIDEWAYS")
    refused("ValidationException", "resource", lineage().get_lineage)
