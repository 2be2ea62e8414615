"""The airports' queue: one message each, on Lakerun's own SQS."""
import json
from concurrent.futures import ThreadPoolExecutor


def messages(data):
    """The airports as JSON, numbers as numbers, missing values as null."""
    kinds = {"lat": float, "lon": float, "alt": int, "tz": int}
    return [json.dumps({k: (kinds.get(k, str)(v) if v != "" else None) for k, v in row.items()}) for row in data.airports]


def send(sqs, url, data):
    bodies = messages(data)
    batches = [[{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[i:i + 10])] for i in range(0, len(bodies), 10)]
    with ThreadPoolExecutor(4) as pool:
        for answer in pool.map(lambda batch: sqs.send_message_batch(QueueUrl=url, Entries=batch), batches):
            assert not answer.get("Failed"), answer
    return len(bodies)
