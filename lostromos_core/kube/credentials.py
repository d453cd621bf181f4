"""Where the cluster is and who we are there: kubeconfig or the service account of the Pod.

The official client reads the files, runs ``exec`` plug-ins and refreshes tokens; it is imported when needed, since
it takes half a second of CPU and 15 MiB.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import ssl
import tempfile
from typing import Any, final

from lostromos_core import errors
from lostromos_core.kube import kubeconfigs

_IN_CLUSTER = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


@final
class Credentials:
    """Address, TLS and authorization for one cluster. ``refresh`` reads or asks for them again.

    ``kubeconfig`` is a path (or several, joined as in $KUBECONFIG); without it, $KUBECONFIG, ~/.kube/config and the
    Pod's service account are tried in this order. Raises ConfigError that says what was looked for.
    """

    def __init__(self, kubeconfig: str = "", *, context: str = "") -> None:
        self._kubeconfig = kubeconfig or os.environ.get("KUBECONFIG", "")
        self._context = context or None
        self._configuration: Any = None
        self._ssl: ssl.SSLContext | bool = True

    @property
    def url(self) -> str:
        """The API server's address, without a slash at its end."""
        return str(self._configuration.host).rstrip("/")

    @property
    def ssl(self) -> ssl.SSLContext | bool:
        """The TLS settings, for aiohttp."""
        return self._ssl

    @property
    def server_name(self) -> str | None:
        """The name that the server's certificate must have, if not the address's."""
        name: str | None = self._configuration.tls_server_name
        return name

    @property
    def proxy(self) -> str | None:
        """The HTTP proxy that the kubeconfig names."""
        proxy: str | None = self._configuration.proxy
        return proxy

    @property
    def authorization(self) -> str:
        """The value of the Authorization header, empty if a client certificate does it."""
        return str(self._configuration.api_key.get("BearerToken", ""))

    async def refresh(self) -> None:
        """Read the configuration again: token files and exec plug-ins may have a new token."""
        with tempfile.TemporaryDirectory(prefix="lostromos-") as private:
            self._configuration = await self._load(private)
            self._ssl = _ssl_context(self._configuration, _source(self._find()))

    async def _load(self, private: str) -> Any:  # noqa: ANN401 - the official client is untyped
        from kubernetes.aio import client, config  # noqa: PLC0415 - heavy; see above

        configuration = client.Configuration()
        path = self._find()
        if path:
            kubeconfigs.check([pathlib.Path(part) for part in path.split(os.pathsep)], self._context or "")
        try:
            if path:
                _forget_temporary_files()
                await config.load_kube_config(
                    path,
                    self._context,
                    client_configuration=configuration,
                    persist_config=False,
                    temp_file_path=private,
                )
            else:
                config.load_incluster_config(client_configuration=configuration)
        except Exception as error:
            msg = f"{_source(path)} cannot be used: {_reason(error)}"
            raise errors.ConfigError(msg) from error
        return configuration

    def _find(self) -> str:
        """The kubeconfig files to read, empty for the Pod's service account."""
        if self._kubeconfig:
            paths = [pathlib.Path(part).expanduser() for part in self._kubeconfig.split(os.pathsep) if part]
            if not any(path.is_file() for path in paths):
                msg = f"kubeconfig {self._kubeconfig} does not exist; name another one with --kubeconfig or $KUBECONFIG"
                raise errors.ConfigError(msg)
            return os.pathsep.join(str(path) for path in paths)
        default = pathlib.Path("~/.kube/config").expanduser()
        if default.is_file():
            return str(default)
        if _IN_CLUSTER.is_file():
            return ""
        msg = (
            "no cluster: there is no --kubeconfig, no $KUBECONFIG, no ~/.kube/config, and this is no Pod with a "
            "service account; name a kubeconfig with --kubeconfig"
        )
        raise errors.ConfigError(msg)


def _source(path: str) -> str:
    return f"kubeconfig {path}" if path else "the Pod's service account"


def _reason(error: Exception) -> str:
    """What went wrong in the official client, without Python's words where the file is wrong."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {(error.strerror or str(error)).lower()}"
    if isinstance(error, AttributeError | TypeError | KeyError):
        return "it has not the form of a kubeconfig; `kubectl config view` may say more"
    return errors.shorten(str(error))


def _forget_temporary_files() -> None:
    """The official client remembers the files that it wrote keys to; ours are gone as soon as TLS is set up."""
    from kubernetes.aio.config import kube_config  # noqa: PLC0415 - heavy; see above

    with contextlib.suppress(AttributeError):
        kube_config._temp_files.clear()  # noqa: SLF001 - there is no public way


def _ssl_context(configuration: Any, source: str) -> ssl.SSLContext | bool:  # noqa: ANN401 - the official client is untyped
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
    cause = f"it is no {form}" if isinstance(error, ssl.SSLError | ValueError) else _reason(error)
    return errors.ConfigError(f"{source} cannot be used: {what}: {cause}")
