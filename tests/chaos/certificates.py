"""TLS on both sides: the proxy's self-signed certificate, its own authority, for clients; trust in the API server's."""

import dataclasses
import datetime as dt
import ipaddress
import ssl
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid

CERTIFICATE: Final = "chaos.crt"
VALID: Final = dt.timedelta(days=30)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The files in PEM format."""

    certificate: Path
    key: Path


def write(folder: Path) -> Files:
    """Make a new key and write it with its certificate, for a server at 127.0.0.1 or localhost, into the folder."""
    files = Files(certificate=folder / CERTIFICATE, key=folder / "chaos.key")
    key = ec.generate_private_key(ec.SECP256R1())
    files.certificate.write_bytes(_certificate(key).public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


def presenting(files: Files) -> ssl.SSLContext:
    """How the proxy meets its clients."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    # No client may choose HTTP/2.
    context.set_alpn_protocols(["http/1.1"])
    return context


def trusting(ca_file: Path) -> ssl.SSLContext:
    """How the proxy meets the API server."""
    return ssl.create_default_context(cafile=ca_file)


def _certificate(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, "chaos-proxy")])
    now = dt.datetime.now(dt.UTC)
    hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]
    # Python 3.13 and later check strictly: an authority says so, and both key identifiers are there.
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
