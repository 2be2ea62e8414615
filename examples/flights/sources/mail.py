"""The mailbox of whoever is told about failures: an SMTP server that keeps what it gets."""
import email
import email.policy
import re
import time

from aiosmtpd.controller import Controller


class Mailbox:
    def __init__(self):
        self.mails = []
        self._controller = Controller(self, hostname="127.0.0.1", port=0)
        self._controller.start()
        self.port = self._controller.server.sockets[0].getsockname()[1]

    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.mails.append({"to": envelope.rcpt_tos, "subject": str(mail["subject"]), "text": mail.get_body(("plain", "html")).get_content()})
        return "250 Kept"

    def alerts(self):
        """Mails that tell of a failure: all but those that ask to confirm the subscription."""
        return [mail for mail in self.mails if not confirmation(mail)]

    def wait(self, count, seconds):
        deadline = time.monotonic() + seconds
        while len(self.alerts()) < count and time.monotonic() < deadline:
            time.sleep(0.1)
        return self.alerts()

    def close(self):
        self._controller.stop()


def confirmation(mail):
    """The link that confirms a subscription, if the mail holds one."""
    link = re.search(r"https?://\S*Action=ConfirmSubscription[^\s\"'<>]*", mail["text"])
    return link and link.group().replace("&amp;", "&")
