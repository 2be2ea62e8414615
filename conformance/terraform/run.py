#!/usr/bin/env python3
"""A configuration with role, function, state machine (logging, published versions, alias) and schedule: applied, planned again without a
difference, updated, destroyed.

    eval "$(lakerun env)" && python3 conformance/terraform/run.py        # with Terraform where it is installed, and needs boto3
    ... --calls                                                         # the provider's calls by boto3, Terraform or not

Without Terraform (1.11 and provider aws 5.100 are what this was measured with) the calls that the provider makes for main.tf are made by
boto3 instead, and what it polls and compares is checked: every field that it sends must come back as sent.
Closes with 'N passed, N failed'.
"""
import argparse
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
import zipfile

HERE = pathlib.Path(__file__).parent
results = []


def check(what, holds, shown=""):
    results.append(bool(holds))
    if not holds:
        print(f"FAIL {what} | {str(shown)[:600]}")


def terraform(binary, plugins):
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(HERE / "main.tf", folder)

        def run(what, *arguments, wanted=0):
            begun = time.time()
            done = subprocess.run([binary, *arguments, "-no-color", "-input=false"], cwd=folder, capture_output=True, text=True)
            check(what, done.returncode == wanted, done.stdout[-3000:] + done.stderr[-3000:])
            summary = re.findall(r"^(?:Apply|Destroy) complete.*|^No changes\.|^Plan:.*", done.stdout, re.MULTILINE)
            print(f"{what}: {time.time() - begun:.1f} s {' '.join(summary)}")

        def values(greeting):
            code = pathlib.Path(folder, f"{greeting.replace(' ', '-')}.zip")
            code.write_bytes(archive(greeting))
            return ["-var", f"greeting={greeting}", "-var", f"code={code}"]

        run("init", "init", *([f"-plugin-dir={plugins}"] if plugins else []))
        before, after = values("hello"), values("good evening")
        try:
            run("apply", "apply", "-auto-approve", *before)
            run("plan without a difference", "plan", "-detailed-exitcode", *before)
            run("update", "apply", "-auto-approve", *after)
            run("plan after the update", "plan", "-detailed-exitcode", *after)
        finally:
            run("destroy", "destroy", "-auto-approve", *after)


def archive(greeting):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as zipped:
        entry = zipfile.ZipInfo("handler.py")
        entry.external_attr = 0o644 << 16
        zipped.writestr(entry, f"def handler(event, context):\n    return {{'greeting': '{greeting}', 'event': event}}\n")
    return held.getvalue()


def until(what, ask, ready, seconds=60):
    end = time.time() + seconds
    while True:
        answer = ask()
        if ready(answer) or time.time() > end:
            check(what, ready(answer), answer)
            return answer
        time.sleep(0.2)


def gone(what, call, code, **named):
    import botocore.exceptions
    try:
        check(what, False, call(**named))
    except botocore.exceptions.ClientError as error:
        check(what, error.response["Error"]["Code"] == code, error)


class Calls:
    """What provider aws 5.100 calls for main.tf."""

    def __init__(self):
        import boto3
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        client = lambda service: boto3.client(service, region_name=region)
        self.iam, self.function, self.logs = client("iam"), client("lambda"), client("logs")
        self.sfn, self.scheduler = client("stepfunctions"), client("scheduler")
        self.account = client("sts").get_caller_identity()["Account"]
        self.region, self.name = region, f"smoke-{uuid.uuid4().hex[:8]}"

    def trust(self, *services):
        statement = {"Effect": "Allow", "Principal": {"Service": list(services)}, "Action": "sts:AssumeRole"}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    def definition(self, greeting):
        state = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True,
                 "Parameters": {"FunctionName": self.function_arn, "Payload.$": "$"},
                 "ResultSelector": {"said.$": "$.Payload.greeting", "greeting": greeting}}
        return json.dumps({"StartAt": "Greet", "States": {"Greet": state}})

    def apply(self):
        name = self.name
        self.roles = {}
        for role, services in [("function", ["lambda.amazonaws.com"]), ("machine", ["states.amazonaws.com", "scheduler.amazonaws.com"])]:
            made = self.iam.create_role(RoleName=f"{name}-{role}", AssumeRolePolicyDocument=self.trust(*services), MaxSessionDuration=3600, Path="/")
            self.roles[role] = made["Role"]["Arn"]
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["lambda:InvokeFunction", "states:StartExecution", "logs:*"], "Resource": "*"}]}
        self.policy = json.dumps(policy)
        self.iam.put_role_policy(RoleName=f"{name}-machine", PolicyName="calls", PolicyDocument=self.policy)
        made = self.function.create_function(FunctionName=f"{name}-greet", Role=self.roles["function"], Runtime="python3.12", Handler="handler.handler",
                                             Code={"ZipFile": archive("hello")}, MemorySize=128, Timeout=3, PackageType="Zip", Architectures=["x86_64"])
        self.function_arn = made["FunctionArn"]
        until("the function is active", self.configuration, lambda c: c["State"] == "Active")
        self.group = f"/aws/vendedlogs/states/{name}"
        self.logs.create_log_group(logGroupName=self.group, logGroupClass="STANDARD")
        self.logs.put_retention_policy(logGroupName=self.group, retentionInDays=7)
        group = self.logs.describe_log_groups(logGroupNamePrefix=self.group)["logGroups"][0]
        check("the log group's retention", group["retentionInDays"] == 7, group)
        self.destination = f"arn:aws:logs:{self.region}:{self.account}:log-group:{self.group}:*"
        text = self.definition("hello")
        valid = self.sfn.validate_state_machine_definition(definition=text, type="STANDARD", severity="ERROR")
        check("the definition is valid", valid["result"] == "OK" and valid["diagnostics"] == [], valid)
        made = self.sfn.create_state_machine(
            name=name, definition=text, roleArn=self.roles["machine"], type="STANDARD", publish=True,
            loggingConfiguration=self.logging(), tracingConfiguration={"enabled": False}, tags=[{"key": "project", "value": name}])
        self.arn, self.version = made["stateMachineArn"], made["stateMachineVersionArn"]
        until("the machine is active", self.machine, lambda m: m["status"] == "ACTIVE")
        self.alias = self.sfn.create_state_machine_alias(name="live", routingConfiguration=self.route())["stateMachineAliasArn"]
        self.scheduler.create_schedule(
            Name=f"{name}-nightly", GroupName="default", State="ENABLED", ScheduleExpression="cron(0 3 * * ? *)", ScheduleExpressionTimezone="Europe/London",
            FlexibleTimeWindow={"Mode": "OFF"}, Target=self.target())

    def configuration(self):
        return self.function.get_function(FunctionName=f"{self.name}-greet")["Configuration"]

    def machine(self):
        return self.sfn.describe_state_machine(stateMachineArn=self.arn)

    def logging(self):
        return {"level": "ALL", "includeExecutionData": True, "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": self.destination}}]}

    def route(self):
        return [{"stateMachineVersionArn": self.version, "weight": 100}]

    def target(self):
        return {"Arn": self.arn, "RoleArn": self.roles["machine"], "Input": json.dumps({"from": "schedule"}),
                "RetryPolicy": {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}}

    def refresh(self, greeting):
        """What a plan reads: a difference in any of these would be planned again."""
        name = self.name
        for role, services in [("function", ["lambda.amazonaws.com"]), ("machine", ["states.amazonaws.com", "scheduler.amazonaws.com"])]:
            found = self.iam.get_role(RoleName=f"{name}-{role}")["Role"]
            check(f"role {role}", found["Arn"] == self.roles[role] and found["AssumeRolePolicyDocument"] == json.loads(self.trust(*services))
                  and found["Path"] == "/" and found["MaxSessionDuration"] == 3600, found)
            self.iam.list_role_policies(RoleName=f"{name}-{role}")
            self.iam.list_attached_role_policies(RoleName=f"{name}-{role}")
        found = self.iam.get_role_policy(RoleName=f"{name}-machine", PolicyName="calls")
        check("the role's policy", found["PolicyDocument"] == json.loads(self.policy), found)
        found = self.configuration()
        for field, value in [("Role", self.roles["function"]), ("Runtime", "python3.12"), ("Handler", "handler.handler"), ("MemorySize", 128), ("Timeout", 3),
                             ("PackageType", "Zip"), ("Architectures", ["x86_64"]), ("FunctionArn", self.function_arn), ("LastUpdateStatus", "Successful")]:
            check(f"the function's {field}", found.get(field) == value, found.get(field))
        found = self.machine()
        for field, value in [("name", name), ("definition", self.definition(greeting)), ("roleArn", self.roles["machine"]), ("type", "STANDARD"), ("status", "ACTIVE"),
                             ("loggingConfiguration", self.logging()), ("tracingConfiguration", {"enabled": False})]:
            check(f"the machine's {field}", found.get(field) == value, found.get(field))
        versions = [v["stateMachineVersionArn"] for v in self.sfn.list_state_machine_versions(stateMachineArn=self.arn)["stateMachineVersions"]]
        check("the newest version is the published one", versions[:1] == [self.version], versions)
        tags = self.sfn.list_tags_for_resource(resourceArn=self.arn)["tags"]
        check("the machine's tags", tags == [{"key": "project", "value": name}], tags)
        found = self.sfn.describe_state_machine_alias(stateMachineAliasArn=self.alias)
        check("the alias", found["name"] == "live" and found["routingConfiguration"] == self.route(), found)
        found = self.scheduler.get_schedule(Name=f"{name}-nightly", GroupName="default")
        for field, value in [("ScheduleExpression", "cron(0 3 * * ? *)"), ("ScheduleExpressionTimezone", "Europe/London"), ("FlexibleTimeWindow", {"Mode": "OFF"}),
                             ("State", "ENABLED"), ("GroupName", "default"), ("Target", self.target())]:
            check(f"the schedule's {field}", found.get(field) == value, found.get(field))

    def update(self):
        self.function.update_function_code(FunctionName=f"{self.name}-greet", ZipFile=archive("good evening"), Architectures=["x86_64"])
        until("the function is updated", self.configuration, lambda c: c["LastUpdateStatus"] == "Successful")
        text = self.definition("good evening")
        self.sfn.validate_state_machine_definition(definition=text, type="STANDARD", severity="ERROR")
        before = self.version
        self.version = self.sfn.update_state_machine(
            stateMachineArn=self.arn, definition=text, roleArn=self.roles["machine"], loggingConfiguration=self.logging(),
            tracingConfiguration={"enabled": False}, publish=True)["stateMachineVersionArn"]
        check("an update publishes another version", self.version != before, self.version)
        # The provider reads until the definition is the new one.
        until("the machine is updated", self.machine, lambda m: m["definition"] == text and m["status"] == "ACTIVE")
        self.sfn.update_state_machine_alias(stateMachineAliasArn=self.alias, routingConfiguration=self.route())

    def use(self, greeting):
        started = self.sfn.start_execution(stateMachineArn=self.alias, input=json.dumps({"n": 1}))["executionArn"]
        ended = until("an execution ends", lambda: self.sfn.describe_execution(executionArn=started), lambda e: e["status"] != "RUNNING")
        check("the alias runs the version", ended["status"] == "SUCCEEDED" and json.loads(ended["output"]) == {"said": greeting, "greeting": greeting}, ended)

    def destroy(self):
        name = self.name
        self.scheduler.delete_schedule(Name=f"{name}-nightly", GroupName="default")
        gone("the schedule is gone", self.scheduler.get_schedule, "ResourceNotFoundException", Name=f"{name}-nightly", GroupName="default")
        self.sfn.delete_state_machine_alias(stateMachineAliasArn=self.alias)
        self.sfn.delete_state_machine(stateMachineArn=self.arn)
        import botocore.exceptions

        def described():
            try:
                return self.machine()["status"]
            except botocore.exceptions.ClientError as error:
                return error.response["Error"]["Code"]

        until("the machine is gone", described, lambda status: status == "StateMachineDoesNotExist")
        self.function.delete_function(FunctionName=f"{name}-greet")
        gone("the function is gone", self.function.get_function, "ResourceNotFoundException", FunctionName=f"{name}-greet")
        self.logs.delete_log_group(logGroupName=self.group)
        self.iam.delete_role_policy(RoleName=f"{name}-machine", PolicyName="calls")
        for role in ["function", "machine"]:
            self.iam.list_instance_profiles_for_role(RoleName=f"{name}-{role}")
            self.iam.delete_role(RoleName=f"{name}-{role}")
            gone(f"role {role} is gone", self.iam.get_role, "NoSuchEntity", RoleName=f"{name}-{role}")


def calls():
    made = Calls()
    made.apply()
    made.refresh("hello")
    made.use("hello")
    made.update()
    made.refresh("good evening")
    made.use("good evening")
    made.destroy()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", action="store_true")
    parser.add_argument("--plugins", metavar="FOLDER", help="where provider aws lies unpacked, instead of a download")
    asked = parser.parse_args()
    binary = shutil.which("terraform")
    if binary and not asked.calls:
        terraform(binary, asked.plugins)
    else:
        calls()
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
