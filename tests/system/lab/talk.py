# SPDX-License-Identifier: ISC
"""Many SMTP dialogues at once, each of one message, without threads."""
import asyncio
import base64
import dataclasses
import re
import ssl

from .process import PATIENCE


@dataclasses.dataclass
class Message:
    server: tuple           # host, port
    client: str             # from where
    sender: str
    recipient: str
    helo: str = "client.test"
    user: str | None = None     # of AUTH
    tls: str = ""           # "starttls", "wrapper"
    name: str = ""          # what the caller knows it by


@dataclasses.dataclass
class Answer:
    step: str       # where it ended: connect, helo, tls, auth, mail, rcpt, data
    code: int
    text: str
    offers: str = ""        # the reply to EHLO

    @property
    def accepted(self):
        return self.step == "data" and self.code == 250

    @property
    def queue_id(self):
        found = re.search(r"queued as (\w+)", self.text)
        return found and found[1]

    def __str__(self):
        return f"{self.step}: {self.code} {self.text}"


class Refused(Exception):
    pass


class Talk:
    def __init__(self, message):
        self.message = message
        self.offers = ""

    async def run(self):
        try:
            self.reader, self.writer = await asyncio.open_connection(
                *self.message.server, local_addr=(self.message.client, 0),
                ssl=context() if self.message.tls == "wrapper" else None)
        except OSError as error:
            return Answer("connect", 0, str(error))
        try:
            return await asyncio.wait_for(self.dialogue(), PATIENCE)
        except Refused as refused:
            return Answer(*refused.args, self.offers)
        except (OSError, EOFError, ssl.SSLError) as error:
            return Answer("hung up", 0, str(error), self.offers)
        finally:
            self.writer.close()

    async def dialogue(self):
        message = self.message
        await self.reply("connect", 220)
        await self.hello()
        if message.tls == "starttls":
            await self.say("tls", "STARTTLS", 220)
            await self.writer.start_tls(context())
            await self.hello()
        if message.user:
            word = base64.b64encode(
                f"\0{message.user}\0secret".encode()).decode()
            await self.say("auth", f"AUTH PLAIN {word}", 235)
        await self.say("mail", f"MAIL FROM:<{message.sender}>", 250)
        await self.say("rcpt", f"RCPT TO:<{message.recipient}>", 250)
        await self.say("data", "DATA", 354)
        answer = await self.say(
            "data", f"From: <{message.sender}>\r\nTo: <{message.recipient}>"
            "\r\nSubject: a test\r\nDate: Mon, 2 Mar 2026 12:00:00 +0000\r\n"
            f"Message-ID: <{id(self)}@client.test>\r\n\r\ntext\r\n.", 250)
        self.writer.write(b"QUIT\r\n")
        return Answer("data", 250, answer, self.offers)

    async def hello(self):
        self.offers = await self.say("helo", f"EHLO {self.message.helo}", 250)

    async def say(self, step, line, want):
        self.writer.write(line.encode() + b"\r\n")
        return await self.reply(step, want)

    async def reply(self, step, want):
        lines = []
        while True:
            line = (await self.reader.readline()).decode(errors="replace")
            if not line:
                raise Refused(step, 0, "connection closed")
            lines.append(line[4:].rstrip("\r\n"))
            if line[3:4] != "-":
                break
        text = "\n".join(lines)
        if int(line[:3]) != want:
            raise Refused(step, int(line[:3]), text)
        return text


def context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


def talk(messages, at_once=4):
    """The answers to the messages, in their order."""
    async def all_of_them():
        turn = asyncio.Semaphore(at_once)

        async def one(message):
            async with turn:
                return await Talk(message).run()
        return await asyncio.gather(*map(one, messages))
    return asyncio.run(all_of_them())
