# SPDX-License-Identifier: ISC
"""Certificates: one that nobody trusts for STARTTLS, and those of clients."""
import collections
import subprocess

Client = collections.namedtuple("Client", "pem fingerprint")


def openssl(*arguments, text=None):
    return subprocess.run(["openssl", *map(str, arguments)], check=True,
                          capture_output=True, input=text, text=True).stdout


def self_signed(pem, subject, *more):
    """A key and its certificate in one PEM file; more: options of req(1)."""
    certificate = openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes",
                          "-days", "2", "-subj", subject, *more, "-keyout", pem)
    with pem.open("a") as out:
        out.write(certificate)


def certificate(site):
    """Key and certificate of the server in one PEM file."""
    return _make(site, "mail", f"/CN={site.hostname}").pem


def authority(site, name="ca", subject="/O=maillab/CN=Lab CA"):
    """A certificate authority; its certificate is what an MTA trusts."""
    ca = _make(site, name, subject)
    path = site.root / "etc" / f"{name}.crt"
    path.write_text(openssl("x509", "-in", ca.pem))
    return path


def client(site, name, subject, ca=None):
    """A client's certificate, signed by an authority of that name or by
    itself."""
    return _make(site, name, subject, ca)


def _make(site, name, subject, ca=None):
    directory = site.root / "etc"
    pem, key, cert = (directory / f"{name}.{end}"
                      for end in ("pem", "key", "cert"))
    new = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
           "-nodes", "-subj", subject, "-keyout", key]
    if ca is None:
        openssl(*new, "-x509", "-days", "2", "-out", cert)
    else:
        request = openssl(*new)
        authority = directory / f"{ca}.pem"
        openssl("x509", "-req", "-CA", authority, "-CAkey", authority,
                "-CAcreateserial", "-days", "2", "-out", cert, text=request)
    pem.write_text(key.read_text() + cert.read_text())
    for path in (pem, key):
        path.chmod(0o600)
    digest = openssl("x509", "-in", cert, "-noout", "-fingerprint",
                     "-sha256")
    return Client(pem, digest.strip().partition("=")[2])
