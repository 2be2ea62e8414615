"""A job's `--conf`: "spark.a=1 --conf spark.b=2", as Glue takes it."""

import re


def of(arguments):
    """{name: value} of every --conf among the job's arguments."""
    values = {}
    for at, name in enumerate(arguments[:-1]):
        if name == "--conf":
            for part in re.split(r"\s+--conf\s+", arguments[at + 1].strip()):
                key, equals, value = part.strip().partition("=")
                if not equals or not key.startswith("spark."):
                    raise ValueError(f"--conf takes spark.NAME=VALUE, found: {part}")
                values[key.strip()] = value.strip().strip("'\"")
    return values
