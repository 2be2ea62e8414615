"""The weather station's FTP server (pyftpdlib): one CSV file a month."""
import logging
import threading

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer

USER, PASSWORD = "weather", "barometer"


def serve(data, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.csv"):
        old.unlink()
    for name, text in data.weather.items():
        (folder / name).write_text(text)
    logger = logging.getLogger("pyftpdlib")  # with a handler of its own it does not set up the root's
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    authorizer = DummyAuthorizer()
    authorizer.add_user(USER, PASSWORD, str(folder), perm="elr")
    handler = type("Handler", (FTPHandler,), {"authorizer": authorizer, "banner": "Weather."})
    server = FTPServer(("127.0.0.1", 0), handler)
    server.url = f"ftp://{USER}:{PASSWORD}@127.0.0.1:{server.address[1]}/"
    threading.Thread(target=server.serve_forever, kwargs={"handle_exit": False}, daemon=True).start()
    return server
