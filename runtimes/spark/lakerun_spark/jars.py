"""Fetches the jars that Apache Spark's wheel lacks, once, checked by digest.

    python -m lakerun_spark.jars LIST FOLDER         (LIST: lines "path sha256", FOLDER is made)

The repository is Maven Central or what LAKERUN_MAVEN names.
"""

import hashlib
import os
import sys
import urllib.request

CENTRAL = "${MAVEN_CENTRAL:?the address of Maven Central}"


def wanted(text):
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            path, digest = line.split()
            yield path, digest


def main():
    listing, folder = sys.argv[1], sys.argv[2]
    repository = os.environ.get("LAKERUN_MAVEN", CENTRAL).rstrip("/")
    os.makedirs(folder, exist_ok=True)
    with open(listing) as file:
        items = list(wanted(file.read()))
    for path, digest in items:
        name = path.rpartition("/")[2]
        print(f"fetching {name}", flush=True)
        with urllib.request.urlopen(f"{repository}/{path}", timeout=60) as answer:
            body = answer.read()
        found = hashlib.sha256(body).hexdigest()
        if found != digest:
            sys.exit(f"ERROR: {path} has the digest {found}, wanted is {digest}")
        with open(os.path.join(folder, name), "wb") as file:
            file.write(body)


if __name__ == "__main__":
    main()
