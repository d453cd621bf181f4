"""Set up TLS as specified in a kubeconfig."""

from __future__ import annotations

import contextlib
import hashlib
import pathlib
import ssl
from typing import TYPE_CHECKING

from lostromos_core import errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lostromos_core import interfaces


def fingerprint(configuration: interfaces.Anything) -> Sequence[object]:
    """Return a fingerprint of the TLS settings; equal for equal settings."""
    files = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
    contents = []
    for name in files:
        with contextlib.suppress(OSError):  # reported when the file is loaded
            contents.append(hashlib.sha256(pathlib.Path(name).read_bytes()).digest() if name else b"")
    return (configuration.host, configuration.verify_ssl, *contents)


def ssl_context(configuration: interfaces.Anything, source: str) -> ssl.SSLContext | bool:
    """Return the TLS settings of a kubeconfig, True for plain HTTP. Raises ConfigError."""
    if not str(configuration.host).startswith("https"):
        return True
    try:
        context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    except (OSError, ValueError) as error:
        what = "the certificate authority (certificate-authority, or certificate-authority-data)"
        raise _unusable(source, what, "PEM certificate", error) from error
    if configuration.cert_file:
        try:
            context.load_cert_chain(configuration.cert_file, configuration.key_file)
        except (OSError, ValueError) as error:
            what = "the client certificate, or its key (client-certificate-data, client-key-data)"
            raise _unusable(source, what, "PEM certificate with its key", error) from error
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _unusable(source: str, what: str, form: str, error: Exception) -> errors.ConfigError:
    cause = f"it is not a {form}" if isinstance(error, ssl.SSLError | ValueError) else reason(error)
    return errors.ConfigError(f"{source} cannot be used: {what}: {cause}")


def reason(error: Exception) -> str:
    """Return what failed in the official client, without Python internals if the file is wrong."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {(error.strerror or str(error)).lower()}"
    if isinstance(error, AttributeError | TypeError | KeyError):
        return "it does not look like a kubeconfig; `kubectl config view` may say more"
    return errors.shorten(str(error))
