# SPDX-License-Identifier: ISC
"""Words of a stranger at EHLO, MAIL and RCPT, as they are shown afterwards: no
byte of them is a command for the terminal of whoever reads the log."""
import unicodedata

import pytest

from lab import wirings
from lab.process import wait_for
from matrix import REMOTE

# in the order that they are tried; none may come through as it is
HOSTILE = {
    "c1": b"\xc2\x9b31m",
    "c1-byte": b"\x9b31m",
    "escape": b"\x1b[31m",
    "bidi": b"\xe2\x80\xaeevil",
    "isolate": b"\xe2\x81\xa6x",
    "zero-width": b"\xe2\x80\x8bx",
    "tag": b"\xf3\xa0\x81\x81x",
    "line-separator": b"\xe2\x80\xa8x",
    "noncharacter": b"\xef\xbf\xbfx",
    "overlong": b"\xc0\x9bx",
}


def harmful(data):
    """Code points that a terminal acts on, or that aren't seen."""
    text = data.decode("utf-8", "surrogateescape")
    return sorted({hex(ord(c)) for c in text if c != "\n" and
                   (unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl",
                                                "Zp") or
                    ord(c) & 0xfffe == 0xfffe)})


class TestPostfixPolicy:
    wiring = wirings.PostfixPolicy

    @pytest.mark.parametrize("name", HOSTILE)
    def test_nothing_harmful_is_shown(self, lab, name):
        said = HOSTILE[name]
        log = lab.popgate.milter.log
        before = log.stat().st_size
        client = lab.stranger()
        with lab.smtp(client) as smtp:
            smtp.command(b"EHLO h" + said)
            smtp.command(b"MAIL FROM:<s" + said + b"@x.test>")
            smtp.command(b"RCPT TO:<r" + said + b"@remote.test>")
            smtp.command(b"RSET")
            # where Postfix takes none of it, this one gets there
            smtp.command("MAIL FROM:<s@x.test>")
            assert smtp.command(f"RCPT TO:<{REMOTE}>").code // 100 == 5
        wait_for(lambda: f"client={client}".encode() in
                 log.read_bytes()[before:], "the line")
        row = lab.popgate.wait_decision(client=client, recipient=REMOTE)
        new = log.read_bytes()[before:]
        assert harmful(new) == [], new
        for options in ((), ("--json",), ("--csv",)):
            shown = lab.popgate.ctl("decisions", *options).encode()
            assert harmful(shown) == [], shown
        if name == "c1":        # this one does get there, as UTF-8
            assert row["helo"] == "h\u009b31m"
            assert b"\\xc2\\x9b31m" in new
