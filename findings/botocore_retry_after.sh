#!/usr/bin/env bash
# botocore 1.44.8, retry mode `standard`: the answer header `x-amz-retry-after` is read in milliseconds (HTTP's Retry-After is in
# seconds), and it is cut to five seconds over the client's own backoff: a server that asks for a minute is asked again after five.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet botocore==1.44.8
"$folder/venv/bin/python" - <<'PY'
import http.server, threading, time
import botocore
import botocore.session
from botocore.config import Config

def elapsed(header):
    """Seconds until a call succeeds whose first answer is a 503 with the header."""
    calls = []
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            calls.append(time.monotonic())
            self.rfile.read(int(self.headers["content-length"]))
            body = b"{}"
            self.send_response(503 if len(calls) == 1 else 200)
            if len(calls) == 1:
                self.send_header("x-amz-retry-after", header)
            self.send_header("content-type", "application/x-amz-json-1.0")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        def log_message(self, *_):
            pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = botocore.session.Session().create_client(
        "sqs", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b",
        endpoint_url=f"http://127.0.0.1:{server.server_address[1]}",
        config=Config(retries={"mode": "standard", "max_attempts": 3}))
    client.list_queues()
    server.shutdown()
    return calls[1] - calls[0]

two, minute = elapsed("2000"), elapsed("60000")
print(f"botocore {botocore.__version__}: asked for 2000 it waits {two:.1f} s, asked for 60000 it waits {minute:.1f} s")
assert 1.9 < two < 4, two
assert 4.9 < minute < 15, minute
PY
