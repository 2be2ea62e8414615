"""The mailbox of whoever is told about failures: a small SMTP server that keeps what it gets."""
import email
import email.policy
import re
import socketserver
import threading
import time


class _Session(socketserver.StreamRequestHandler):
    def handle(self):
        to = []
        self.say("220 mailbox")
        while line := self.rfile.readline().decode(errors="replace").strip():
            verb = line.upper()
            if verb.startswith("RCPT TO:"):
                to.append(line[8:].split(">")[0].strip(" <"))
            if verb == "DATA":
                self.say("354 Go on")
                lines = []
                while (data := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(data[1:] if data.startswith(b"..") else data)
                self.server.mailbox.keep(to, b"".join(lines))
                to = []
            self.say("221 Bye" if verb == "QUIT" else "250 mailbox" if verb.startswith(("EHLO", "HELO")) else "250 OK")
            if verb == "QUIT":
                return

    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")


class Mailbox:
    def __init__(self):
        self.mails = []
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Session)
        self._server.daemon_threads, self._server.mailbox = True, self
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def keep(self, to, content):
        mail = email.message_from_bytes(content, policy=email.policy.default)
        self.mails.append({"to": to, "subject": str(mail["subject"]), "text": mail.get_body(("plain", "html")).get_content()})

    def alerts(self):
        """Mails that tell of a failure: all but those that ask to confirm the subscription."""
        return [mail for mail in self.mails if not confirmation(mail)]

    def wait(self, count, seconds):
        deadline = time.monotonic() + seconds
        while len(self.alerts()) < count and time.monotonic() < deadline:
            time.sleep(0.1)
        return self.alerts()


def confirmation(mail):
    """The link that confirms a subscription, if the mail holds one."""
    link = re.search(r"https?://\S*Action=ConfirmSubscription[^\s\"'<>]*", mail["text"])
    return link and link.group().replace("&amp;", "&")
