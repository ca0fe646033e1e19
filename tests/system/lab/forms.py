# SPDX-License-Identifier: ISC
"""The recipient forms of tests/data/forms: how an open MTA treated them."""
import collections
import csv
import re

from .site import TOP

Form = collections.namedtuple("Form", "kind text went")

# Kinds that are mail for us, as the administrator configured it.
OURS = {"local", "vmail", "valias", "valias-out", "relaydom"}


def read(name):
    """name: postfix, sendmail-smart or sendmail-esmtp."""
    with open(TOP / "tests/data/forms" / f"{name}.tsv", newline="") as table:
        rows = csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE)
        forms = [Form(row["kind"], _bytes(row["form"]), row["went"])
                 for row in rows]
    assert len(forms) >= 89
    return forms


def _bytes(text):
    """\\x09 and \\x00 stand for those bytes; other backslashes are real."""
    return re.sub(rb"\\x([0-9a-f]{2})",
                  lambda match: bytes([int(match[1], 16)]), text.encode())


def goes_outside(form):
    """An open MTA sent it to a host of somebody else's."""
    return (form.went.startswith(("RELAYED:", "(accepted")) and
            form.kind not in OURS and "relay.test>" not in
            form.went.replace("%remote.test@relay.test", "%remote.test"))
