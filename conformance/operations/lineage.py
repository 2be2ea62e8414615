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


@operations("lineage", "ListAccesses")
def rows():
    place = bucket()
    put = {"Type": "Task", "Resource": "arn:aws:states:::aws-sdk:s3:putObject", "End": True,
           "Parameters": {"Bucket": place, "Key.$": "$", "Body": {"a": 1}}}
    each = {"Type": "Map", "End": True, "ItemProcessor": {"StartAt": "Put", "States": {"Put": put}}}
    of = client("states").create_state_machine(name=named("rows"), roleArn=role("states"),
                                               definition=json.dumps({"StartAt": "Each", "States": {"Each": each}}))["stateMachineArn"]
    keys = [f"in/{n:02}.json" for n in range(25)]
    execution = client("states").start_execution(stateMachineArn=of, input=json.dumps(keys))["executionArn"]
    until(lambda: client("states").describe_execution(executionArn=execution)["status"], lambda status: status == "SUCCEEDED")

    def listed(**asked):
        found, token = [], {}
        while True:
            page = lineage().list_accesses(MaxResults=10, **asked, **token)
            assert len(page["Accesses"]) <= 10, page
            found += page["Accesses"]
            if "NextToken" not in page:
                return found
            token = {"NextToken": page["NextToken"]}

    found = listed(ResourcePrefix=f"s3://{place}/in/")
    equal([row["Resource"] for row in found], [f"s3://{place}/{key}" for key in keys])
    equal({(row["Action"], row["WorkerType"], row["StateName"], row["ExecutionArn"], row["Count"]) for row in found},
          {("WROTE", "STATE", "Put", execution, 1)})
    equal(len(listed(Worker=found[0]["Worker"])), 25)
    equal(len(listed(Worker=found[0]["Worker"], Resource=f"s3://{place}/in/07.json")), 1)
    equal([row["Resource"] for row in listed(Resource=f"s3://{place}/in/03.json")], [f"s3://{place}/in/03.json"])
    equal(listed(Resource=f"s3://{place}/in/"), [])
    refused("ValidationException", "NextToken", lineage().list_accesses, NextToken="xyz")
    refused("ValidationException", "maxResults", lineage().list_accesses, MaxResults=1)
