"""A certificate nobody trusts, for STARTTLS."""
import subprocess


def certificate(site):
    """Key and certificate in one PEM file."""
    pem = site.root / "etc" / "mail.pem"
    key, cert = (site.root / "etc" / name for name in ("key", "cert"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", f"/CN={site.hostname}", "-keyout", key,
                    "-out", cert], check=True, capture_output=True)
    pem.write_text(key.read_text() + cert.read_text())
    for path in (pem, key):
        path.chmod(0o600)
    return pem
