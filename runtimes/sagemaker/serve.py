"""A model behind /ping and /invocations, as SageMaker calls a container: `python serve.py CONFIG RESULT SOCKET`.

Loads the model that CONFIG names, then listens on SOCKET, one call at a time, as a worker of the inference toolkit does. If the model
does not load, RESULT says why.
"""
import http.server
import json
import os
import socketserver
import sys
import traceback

from transform import Refused, ended, loaded, media


class Server(socketserver.UnixStreamServer):
    request_queue_size = 128


class Handler(http.server.BaseHTTPRequestHandler):
    handlers = None
    default_accept = "application/json"

    def do_GET(self):
        self.reply(200 if self.path == "/ping" else 404, b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        content_type = self.headers.get("content-type") or ""
        accept = self.headers.get("accept") or ""
        accept = self.default_accept if media(accept) in ("", "*/*") else accept
        try:
            output, kind = self.handlers.invoke(body, content_type, accept)
            output = output if isinstance(output, (bytes, bytearray)) else str(output).encode()
        except UnicodeDecodeError as error:
            return self.reply(400, f"the body is no UTF-8: {error}".encode())
        except Refused as error:
            return self.reply(error.status, str(error).encode())
        except Exception as error:
            # As the toolkit answers: the error's own text, then where it came from.
            traceback.print_exc()
            return self.reply(500, f"{error}\n{traceback.format_exc()}".encode())
        self.reply(200, output, kind)

    def reply(self, status, body, kind="text/plain"):
        self.send_response(status)
        self.send_header("Content-Type", kind or "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "caller"

    def log_message(self, *_):
        """Calls are not logged: what the model itself prints is."""


def work(config, socket):
    import boto3
    with open(config) as file:
        asked = json.load(file)
    Handler.handlers = loaded(boto3.client("s3"), asked)
    # The XGBoost container answers CSV where nobody asks for something else.
    default = "text/csv" if asked["builtin"] == "xgboost" else "application/json"
    Handler.default_accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or default
    with Server(socket, Handler) as server:
        server.serve_forever()


if __name__ == "__main__":
    ended(sys.argv[2], lambda: work(sys.argv[1], sys.argv[3]))
    sys.exit(1)
