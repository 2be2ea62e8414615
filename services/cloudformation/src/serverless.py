"""Applies the Serverless transform: a JSON request on standard input, the template's JSON on standard output.

The transform is AWS's own, `samtranslator` of the package aws-sam-translator. A template that it refuses ends the process with status 3 and
its reasons on standard error.
"""
import json
import sys

from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.translator.transform import transform


class Policies:
    """The managed policies by name, as the translator asks for them."""

    def __init__(self, policies):
        self.policies = policies

    def load(self):
        return self.policies


def main():
    request = json.load(sys.stdin)
    try:
        made = transform(request["template"], request["parameters"], Policies(request["policies"]))
    except InvalidDocumentException as error:
        causes = [error.message] + [cause.message for cause in error.causes]
        sys.stderr.write(" ".join(causes))
        sys.exit(3)
    json.dump(made, sys.stdout)


main()
