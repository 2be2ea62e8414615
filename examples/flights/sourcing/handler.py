"""Sourcing (1): brings files from five sources into the landing bucket (2) byte for byte, and records each in DynamoDB (3).

Any call may be repeated: a file is written before it is recorded, a recorded file is left alone, and messages leave
their queue only when what they say has landed.
"""
import ftplib
import hashlib
import io
import json
import os
import pathlib
import urllib.request
from urllib.parse import urlsplit

import boto3
import pg8000.native
from boto3.dynamodb.conditions import Attr, Key

s3, sqs, secrets = boto3.client("s3"), boto3.client("sqs"), boto3.client("secretsmanager")
table = boto3.resource("dynamodb").Table(os.environ["STATE_TABLE"])
LANDING = os.environ["LANDING_BUCKET"]
SourceUnavailable = type("SourceUnavailable", (Exception,), {})
QueueBusy = type("QueueBusy", (Exception,), {})


def api(days):
    for day in days:
        with urllib.request.urlopen(f"{os.environ['API_URL']}/flights?date={day}", timeout=60) as page:
            yield f"{day}.csv", page.read()


def ftp(names, url=urlsplit(os.environ["FTP_URL"])):
    with ftplib.FTP() as server:
        server.connect(url.hostname, url.port or 21, timeout=30)
        server.login(url.username, url.password)
        for name in names or sorted(server.nlst()):
            server.retrbinary(f"RETR {name}", (body := io.BytesIO()).write)
            yield name, body.getvalue()


def sql(_):
    url = urlsplit(secrets.get_secret_value(SecretId=os.environ["DATABASE_SECRET"])["SecretString"])
    db = pg8000.native.Connection(url.username, password=url.password, host=url.hostname, port=url.port, database=url.path[1:])
    db.run("COPY (SELECT * FROM planes ORDER BY tailnum) TO STDOUT WITH (FORMAT csv, HEADER)", stream=(body := io.BytesIO()))
    db.close()
    yield "planes.csv", body.getvalue()


def filesystem(_):
    for path in sorted(pathlib.Path(os.environ["DROP_FOLDER"]).glob("*.csv")):
        yield path.name, path.read_bytes()


def queue(_):
    url, messages, landed = os.environ["QUEUE_URL"], [], []
    while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages"):
        messages += batch
    try:
        landed = s3.get_object(Bucket=LANDING, Key="airports/airports.json")["Body"].read().decode().splitlines()
    except s3.exceptions.NoSuchKey:
        pass
    if lines := dict.fromkeys(landed + sorted(m["Body"] for m in messages)):  # each message once, word for word
        yield "airports.json", "".join(f"{line}\n" for line in lines).encode()
    for i in range(0, len(messages), 10):
        entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(messages[i:i + 10])]
        sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    left = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    if int(left["ApproximateNumberOfMessages"]) + int(left["ApproximateNumberOfMessagesNotVisible"]):
        raise QueueBusy("an attempt that did not end still holds messages")


SOURCES = {"api": ("flights", api), "ftp": ("weather", ftp), "sql": ("planes", sql),
           "filesystem": ("airlines", filesystem), "queue": ("airports", queue)}


def handler(event, context):
    try:
        if event.get("list"):  # the parts that a Map sources side by side: the flights by months, every other source whole
            with urllib.request.urlopen(f"{os.environ['API_URL']}/flights", timeout=60) as page:
                days = json.load(page)["dates"]
            months = [[d for d in days if d[:7] == month] for month in sorted({d[:7] for d in days})]
            return {"parts": [{"source": s} for s in ("queue", "sql", "ftp", "filesystem")] + [{"source": "api", "pages": m} for m in months]}
        source, landed, rows = event["source"], 0, 0
        prefix, fetch = SOURCES[source]
        known = {item["file"]: item["sha256"] for item in table.query(KeyConditionExpression=Key("source").eq(source))["Items"]}
        for file, body in fetch(event.get("pages")):
            key, digest, lines = f"{prefix}/{file}", hashlib.sha256(body).hexdigest(), body.count(b"\n") - file.endswith(".csv")
            rows += lines
            if known.get(file) != digest:
                s3.put_object(Bucket=LANDING, Key=key, Body=body)
                item = {"source": source, "file": file, "s3_key": key, "sha256": digest, "rows": lines, "bytes": len(body), "stage": "landed"}
                try:
                    table.put_item(Item=item, ConditionExpression=Attr("file").not_exists() | Attr("sha256").ne(digest))
                    landed += 1
                except table.meta.client.exceptions.ConditionalCheckFailedException:
                    pass  # somebody has recorded these very bytes meanwhile
        return {"source": source, "landed": landed, "rows": rows}
    except (OSError, EOFError, ftplib.Error, pg8000.Error) as error:
        raise SourceUnavailable(f"{event.get('source', 'api')}: {type(error).__name__}: {error}") from error
