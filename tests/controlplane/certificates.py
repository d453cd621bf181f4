"""The certificates and keys of one control plane: an authority, a server's that it signed, a key that signs tokens.

They are ours, not those that kube-apiserver makes for itself: a proper authority passes the strict checks of Python
3.13 and later, and elliptic keys take no time to make.
"""

import dataclasses
import datetime as dt
import ipaddress
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid

VALID: Final = dt.timedelta(days=365)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """The files in one folder, in PEM format."""

    authority: Path
    server: Path
    server_key: Path
    service_account_key: Path


def write(folder: Path) -> Certificates:
    """Make new keys and write all files into the folder, for a server at 127.0.0.1 or localhost."""
    files = Certificates(
        authority=folder / "ca.crt",
        server=folder / "apiserver.crt",
        server_key=folder / "apiserver.key",
        service_account_key=folder / "service-account.key",
    )
    authority, server = _new_key(), _new_key()
    files.authority.write_bytes(_pem(_authority(authority)))
    files.server.write_bytes(_pem(_server(server, signed_by=authority)))
    files.server_key.write_bytes(_key_pem(server))
    files.service_account_key.write_bytes(_key_pem(_new_key()))
    return files


def _authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    return (
        _builder("controlplane-ca", key=key, signed_by=key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )


def _server(key: ec.EllipticCurvePrivateKey, *, signed_by: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]
    return (
        _builder("kube-apiserver", key=key, signed_by=signed_by)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(signed_by, hashes.SHA256())
    )


def _builder(
    name: str, *, key: ec.EllipticCurvePrivateKey, signed_by: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    signer = signed_by.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name("controlplane-ca"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, common_name)])


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
