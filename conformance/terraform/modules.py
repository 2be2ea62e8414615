#!/usr/bin/env python3
"""Configurations as popular modules of the registry write them (terraform-aws-modules' s3-bucket, lambda, iam, sqs, sns, eventbridge,
step-functions, dynamodb-table and kms, cloudposse's glue), with the attributes that those set: applied, planned again without a
difference, destroyed.

    python3 conformance/terraform/modules.py --binary target/debug/lakerun [--plugins FOLDER] [NAME ...]    # needs Terraform, and boto3

Closes with 'N passed, N failed'; without Terraform nothing is tried.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from server import Server, need_boto3  # noqa: E402

need_boto3(__file__)

results = []


def tried(module, plugins):
    with tempfile.TemporaryDirectory() as folder:
        at = pathlib.Path(folder, "module")
        at.mkdir()
        shutil.copy(module, at / "main.tf")
        shutil.copy(module.parent / "versions.tf", at)
        with zipfile.ZipFile(at.parent / "fn.zip", "w") as package:
            package.writestr(zipfile.ZipInfo("index.py", (2020, 1, 1, 0, 0, 0)), "def handler(event, context):\n    return event\n")

        def run(*arguments):
            begun = time.time()
            done = subprocess.run(["terraform", *arguments, "-no-color", "-input=false"], cwd=at, stdin=subprocess.DEVNULL, capture_output=True, text=True)
            summary = re.findall(r"^(?:Apply|Destroy) complete.*|^No changes\.|^Plan:.*", done.stdout, re.MULTILINE)
            results.append(done.returncode == 0)
            print(f"{'ok  ' if done.returncode == 0 else 'FAIL'} {module.stem} {arguments[0]}: {time.time() - begun:.1f} s {' '.join(summary)}", flush=True)
            if done.returncode:
                print(done.stdout[-3000:] + done.stderr[-3000:], flush=True)

        run("init", *([f"-plugin-dir={plugins}"] if plugins else []))
        try:
            run("apply", "-auto-approve")
            run("plan", "-detailed-exitcode")
        finally:
            run("destroy", "-auto-approve")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True)
    parser.add_argument("--plugins", help="a folder that has the provider")
    parser.add_argument("names", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    if not shutil.which("terraform"):
        print("skipped: terraform is not installed\n0 passed, 0 failed")
        return
    server = Server(arguments.binary)
    os.environ.update(AWS_REGION="eu-west-1", AWS_DEFAULT_REGION="eu-west-1", AWS_EC2_METADATA_DISABLED="true")
    try:
        for module in sorted((HERE / "modules").glob("*.tf")):
            if module.stem != "versions" and (not arguments.names or module.stem in arguments.names):
                tried(module, arguments.plugins)
    finally:
        server.stop()
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    sys.exit(not all(results))


main()
