"""The flights API: GET /flights lists the days it has, GET /flights?date=2013-01-31 is that day's page, as CSV."""
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


def serve(data, port=0):
    """Starts the server; `server.hang = True` makes it answer no page any more."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            url = urlsplit(self.path)
            date = parse_qs(url.query).get("date", [None])[0]
            if url.path != "/flights" or (date and date not in data.flights):
                return self.answer(404, "application/json", b'{"error": "no such page"}')
            if date is None:
                return self.answer(200, "application/json", json.dumps({"dates": sorted(data.flights)}).encode())
            while server.hang:
                time.sleep(0.5)
            return self.answer(200, "text/csv", data.flights[date].encode())

        def answer(self, status, kind, body):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads, server.hang = True, False
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
