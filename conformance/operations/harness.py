"""What the files of operations are written with: cases, clients that note what each operation answered, and assertions."""
import atexit
import contextlib
import functools
import gzip
import http.server
import io
import json
import os
import pathlib
import shutil
import tempfile
import threading
import time
import uuid
import zipfile

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

CASES = []
"""Every case: its function, the service, the operations that it holds."""
ANSWERED, REFUSED = set(), set()
"""(service, operation) that a client here has seen succeed, and fail."""
CLIENTS = {}
BOTO_NAMES = {"states": "stepfunctions"}
MODELS = pathlib.Path(__file__).resolve().parents[2] / "models"
OWN = [path.stem for path in MODELS.glob("*.json") if "metadata" in json.loads(path.read_text())]
"""Services of Lakerun's own, whose models lie open."""
ACCOUNT = "000000000000"
REGION = "us-east-1"


def operations(service, *names, only_refused=None):
    """Names the operations that the case below holds. `run.py` fails a case in which one of them is not both answered and refused;
    `cargo xtask tidy` reads these lines, and fails on an operation of the server that no case names. `only_refused` says why an
    operation has nothing to answer here."""

    def note(function):
        CASES.append((function, service, names, only_refused))
        return function

    return note


@functools.cache
def session():
    """boto3 with the models of the services that AWS does not have, where it looks for models of its own."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder)
    for service in OWN:
        model = json.loads((MODELS / f"{service}.json").read_text())
        at = pathlib.Path(folder, service, model["metadata"]["apiVersion"])
        at.mkdir(parents=True)
        (at / "service-2.json").write_text(json.dumps(model))
    # Operations that are newer than the client.
    newest = pathlib.Path(folder, "newest", "lambda", "2015-03-31")
    newest.mkdir(parents=True)
    (newest / "service-2.json").write_bytes(gzip.decompress((MODELS / "lambda.json.gz").read_bytes()))
    found = boto3.session.Session()
    paths = found._session.get_component("data_loader").search_paths
    paths.append(folder)
    paths.insert(0, str(newest.parents[1]))
    return found


def client(service, key=None, secret=None, **settings):
    """A client of the service that neither repeats a call nor looks at parameters itself, so that the server has to."""
    known = (service, key, secret, tuple(sorted(settings.items())))
    if known not in CLIENTS:
        config = Config(retries={"max_attempts": 1}, parameter_validation=False, read_timeout=600, s3={"addressing_style": "path"})
        made = session().client(BOTO_NAMES.get(service, service), region_name=REGION, config=config, aws_access_key_id=key,
                            aws_secret_access_key=secret, **settings)

        def saw(model, http_response, **_):
            (ANSWERED if http_response.status_code < 300 else REFUSED).add((service, model.name))

        made.meta.events.register("after-call", saw)
        CLIENTS[known] = made
    return CLIENTS[known]


def refused(code, text, call, **arguments):
    """The call fails with this code, and its message says `text`: what is wrong and where."""
    try:
        answer = call(**arguments)
    except ClientError as error:
        found = error.response["Error"]
        if found["Code"] == code and text in found.get("Message", ""):
            return error.response
        answer = f"{error.operation_name}: {found}"
    raise AssertionError(f"found {str(answer)[:400]}, wanted {code}: …{text}…")


def nobody(service):
    """A client of a user who may do nothing."""
    if "nobody" not in CLIENTS:
        iam = client("iam")
        name = named("nobody")
        iam.create_user(UserName=name)
        CLIENTS["nobody"] = iam.create_access_key(UserName=name)["AccessKey"]
    key = CLIENTS["nobody"]
    return client(service, key["AccessKeyId"], key["SecretAccessKey"])


def denied(code, action, operation, **arguments):
    """Who may do nothing is told which action is wanting, by the operation (in boto3's spelling)."""
    return refused(code, f"is not authorized to perform: {action}", getattr(nobody(action.split(":")[0].lower()), operation), **arguments)


def named(what):
    """A name that nothing else has."""
    return f"{what}-{uuid.uuid4().hex[:8]}"


def equal(found, wanted):
    assert found == wanted, f"found {found!r}, wanted {wanted!r}"


def holds(found, **wanted):
    """The members named have these values, whatever else there is."""
    equal({key: found.get(key) for key in wanted}, wanted)


def names(items, key):
    return [item[key] for item in items]


def pages(call, key, marker, given, **arguments):
    """All items of a list that is asked for in pages: `given` is the member that the marker of the answer goes into."""
    items, count = [], 0
    while True:
        page = call(**arguments)
        items, count = items + page[key], count + 1
        if not page.get(marker):
            return items, count
        arguments[given] = page[marker]


def until(ask, done):
    """The first answer that `done` finds right: for what AWS does in its own time."""
    for _ in range(6000):
        answer = ask()
        if done(answer):
            return answer
        time.sleep(0.1)
    raise AssertionError(f"still {answer}")


def trust(service):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}]})


def allow(action, resource="*"):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]})


def role(service, action="*"):
    """The ARN of a role that the service may take, with this action allowed everywhere."""
    iam, name = client("iam"), named(f"{service}-role")
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust(service))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=allow(action))
    return arn


def zipped(**files):
    """A deployment package with one Python module per keyword."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        for name, text in files.items():
            package.writestr(f"{name}.py", text)
    return buffer.getvalue()


@contextlib.contextmanager
def serving(answer=lambda path: (400 if path.startswith("/refused") else 200, b"")):
    """A small HTTP server: its address, and what it was asked so far as (path, headers, body). `answer` makes status and body of a path."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, text = answer(self.path)
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
            seen.append((self.path, self.headers, body))

        do_GET = do_PUT = do_POST

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()


def bucket():
    name = named("operations")
    client("s3").create_bucket(Bucket=name)
    return name


def variable(name):
    return os.environ[name]
