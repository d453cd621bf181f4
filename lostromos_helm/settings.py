"""Declare the options of the applier ``helm`` and the renderer ``helm-template``.

A model is the one declaration of its options, for lostromos.yaml and for Python. The keywords repeat their names and
types, since type checkers cannot derive the keywords of a constructor from a model.
"""

from __future__ import annotations

import atexit
import dataclasses
import os
import pathlib
import shutil
import tempfile
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeAlias, TypedDict

import pydantic
import structlog

from lostromos_core import Options, backends
from lostromos_helm.charts import chart_cache, references

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_log = structlog.get_logger("lostromos.helm")

DriftMode: TypeAlias = Literal["repair", "warn", "off"]
OnDelete: TypeAlias = Literal["uninstall", "orphan"]
Conflicts: TypeAlias = Literal["force", "fail"]


class AccessKeywords(TypedDict, total=False):
    """List the fields of ``AccessOptions`` as keyword arguments, for signatures.

    ``access`` stands for three of them; ``base`` is the folder that paths of charts are relative to.
    """

    base: pathlib.Path
    access: chart_cache.Access | None
    prefix: str | None
    timeout: float
    binary: str
    processes: int
    cache: str


class Keywords(AccessKeywords, total=False):
    """List the fields of ``HelmOptions`` as keyword arguments, for signatures."""

    allow: Sequence[str]
    namespace: str
    create_namespace: bool
    wait: bool
    atomic: bool
    hooks: bool
    history: int
    adopt: bool
    on_delete: OnDelete
    conflicts: Conflicts
    drift: DriftMode
    ignore: Mapping[str, Sequence[str]]
    inventory_namespace: str


class TemplateKeywords(AccessKeywords, total=False):
    """List the fields of ``HelmTemplateOptions`` as keyword arguments, for signatures."""

    kinds: Sequence[str]
    hooks: bool


def writable(folder: pathlib.Path) -> pathlib.Path:
    """Return a writable folder: this one, or otherwise a temporary one that is removed when this process exits."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        made = pathlib.Path(tempfile.mkdtemp(prefix="lostromos-helm-"))
        atexit.register(shutil.rmtree, made, ignore_errors=True)
        _log.warning(
            "the cache for charts cannot be written: each start fetches them again, and outside of a cluster no "
            "release is known as sealed; name a folder with `cache`",
            folder=str(folder),
            error=error.strerror or str(error),
        )
        return made


def _relative(text: str, info: pydantic.ValidationInfo) -> str:
    """Resolve a path relative to the folder of the configuration file."""
    return str(backends.relative(pathlib.Path(text), info)) if text else ""


def _program(text: str, info: pydantic.ValidationInfo) -> str:
    """Resolve a program: a path like any other, or a bare name, which is looked up on PATH."""
    return str(backends.relative(pathlib.Path(text), info).absolute()) if "/" in text else text


Path = Annotated[str, pydantic.AfterValidator(_relative)]
Program = Annotated[str, pydantic.AfterValidator(_program)]


class ChartOptions(pydantic.BaseModel):
    """Identify a chart of a repository or registry."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    repository: str = pydantic.Field(description="https://HOST/PATH of a repository, or oci://HOST/PATH.")
    name: str
    version: str = pydantic.Field(description="An exact version, such as 1.2.3.")
    digest: str = pydantic.Field(
        default="",
        pattern=r"^(sha256:[0-9a-f]{64})?$",
        description="sha256:... of the chart's archive, or of its OCI manifest.",
    )


class AccessOptions(Options):
    """Configure the sources of charts, the program, and the names of releases."""

    chart: str | ChartOptions = pydantic.Field(
        default="",
        description="A folder or .tgz (relative to this file), oci://HOST/NAME:VERSION, https://HOST/NAME:VERSION.",
    )
    registry_config: Path = pydantic.Field(
        default="",
        alias="registryConfig",
        description="A file with credentials for OCI registries, in Docker's format.",
    )
    ca_file: Path = pydantic.Field(
        default="", alias="caFile", description="CA certificates of a repository or registry."
    )
    plain_http: bool = pydantic.Field(
        default=False, alias="plainHttp", description="Whether OCI registries are reached without TLS."
    )
    binary: Program = pydantic.Field(default="", description="The path of helm; found on PATH by default.")
    processes: int = pydantic.Field(default=4, ge=1, le=64, description="Maximum concurrent helm calls.")
    timeout: float = pydantic.Field(default=300.0, gt=0, description="Seconds that one operation may take.")
    cache: Path = pydantic.Field(
        default="", description="Where charts are kept; by default in lostromos/helm of the user's cache folder."
    )
    prefix: str | None = pydantic.Field(
        default=None, description="Begins the names of releases; by default the controller's name. May be empty."
    )
    _base: pathlib.Path = pathlib.Path()

    @pydantic.model_validator(mode="after")
    def _remember_base(self, info: pydantic.ValidationInfo) -> Self:
        """Remember the folder of the configuration file, which paths are relative to."""
        self._base = pathlib.Path((info.context or {}).get("base", "."))
        return self

    def reference(self) -> references.Reference | str:
        """Return the chart; raises ConfigError."""
        if isinstance(self.chart, ChartOptions):
            return references.remote(self.chart.repository, self.chart.name, self.chart.version, self.chart.digest)
        return references.parse(self.chart, self._base) if self.chart else ""

    @classmethod
    def from_keywords(cls, keywords: Mapping[str, Any]) -> Self:
        """Return options for the keyword arguments of a constructor; raises ConfigError."""
        access = dataclasses.asdict(keywords.get("access") or chart_cache.Access())
        named = {name: value for name, value in keywords.items() if name not in {"access", "base"}}
        return super().from_keywords(named | access).with_base(keywords.get("base", pathlib.Path()))

    def with_base(self, base: pathlib.Path) -> Self:
        """Set the folder that the paths of charts are relative to."""
        self._base = base
        return self

    def keywords(self) -> dict[str, Any]:
        """Return the options, apart from the chart, as keyword arguments of a constructor."""
        access = self.access
        apart = {"chart", *dataclasses.asdict(access)}
        found = {name: value for name, value in super().keywords().items() if name not in apart}
        return found | {"base": self.base, "access": access}

    @property
    def base(self) -> pathlib.Path:
        """Return the folder that the paths of charts are relative to."""
        return self._base

    @property
    def access(self) -> chart_cache.Access:
        """Return the access options for repositories and registries."""
        return chart_cache.Access(
            registry_config=self.registry_config, ca_file=self.ca_file, plain_http=self.plain_http
        )

    @property
    def folder(self) -> pathlib.Path:
        """Return the folder of charts and Helm's own caches."""
        if self.cache:
            return pathlib.Path(self.cache)
        base = os.environ.get("XDG_CACHE_HOME") or str(pathlib.Path.home() / ".cache")
        return pathlib.Path(base) / "lostromos" / "helm"

    def prefix_of(self, controller: str) -> str:
        """Return the prefix of the names of a controller's releases."""
        return controller if self.prefix is None else self.prefix


class HelmOptions(AccessOptions):
    """Configure releases made with the real Helm."""

    allow: tuple[str, ...] = pydantic.Field(
        default=(),
        description="Charts that a resource may name with the annotation lostromos.dev/chart; * is any part of a name.",
    )
    namespace: str = pydantic.Field(default="", description="Where releases go; by default the resource's namespace.")
    create_namespace: bool = pydantic.Field(
        default=False, alias="createNamespace", description="Whether Helm creates the namespace."
    )
    wait: bool = pydantic.Field(default=False, description="Helm itself waits until the objects are ready.")
    atomic: bool = pydantic.Field(default=False, description="Helm rolls back what fails.")
    hooks: bool = pydantic.Field(default=True, description="Whether the chart's hooks run.")
    history: int = pydantic.Field(default=10, ge=1, description="Revisions that are kept of each release.")
    adopt: bool = pydantic.Field(
        default=False, description="Take over releases, and objects, that are not the resource's own."
    )
    on_delete: OnDelete = pydantic.Field(
        default="uninstall", alias="onDelete", description="What becomes of a release when its resource is deleted."
    )
    conflicts: Conflicts = pydantic.Field(
        default="force", description="With Helm 4: take fields that other managers own, or fail."
    )
    drift: DriftMode = pydantic.Field(
        default="repair", description="What to do when another field manager changes an object of a release."
    )
    ignore: dict[str, tuple[backends.Pointer, ...]] = pydantic.Field(
        default_factory=dict, description="Kind: JSON pointers to fields whose drift does not count."
    )
    inventory_namespace: backends.InventoryNamespace = ""

    @property
    def waits(self) -> bool:
        """Return whether Helm waits until objects are ready."""
        return self.wait or self.atomic


class HelmTemplateOptions(AccessOptions):
    """Configure the rendering of a chart's manifests for any applier."""

    values: backends.ValuesOptions = pydantic.Field(
        default_factory=backends.ValuesOptions,
        description="How the values are made: the options of the renderer `values`.",
    )
    kinds: tuple[str, ...] = pydantic.Field(
        default=(), description="Kinds to allow beyond the chart's defaults: Deployment.apps, or ConfigMap."
    )
    hooks: bool = pydantic.Field(
        default=False, description="Whether hooks of installs and upgrades become objects like all others."
    )

    def keywords(self) -> dict[str, Any]:
        """Return the options, apart from the chart and its values, as keyword arguments of the constructor."""
        return {name: value for name, value in super().keywords().items() if name != "values"}
