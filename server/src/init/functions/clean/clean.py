"""Reads the raw sales, leaves out what has no amount, writes the rest."""
import csv, io
import boto3

def handler(event, context):
    s3 = boto3.client("s3")
    text = s3.get_object(Bucket=event["bucket"], Key=event["key"])["Body"].read().decode()
    rows = [row for row in csv.reader(io.StringIO(text)) if row[2]]
    body = "\n".join(",".join(row) for row in rows[1:]) + "\n"
    s3.put_object(Bucket=event["bucket"], Key="clean/sales.csv", Body=body.encode())
    return {"rows": len(rows) - 1}
