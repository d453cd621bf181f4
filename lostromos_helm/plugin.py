"""Register the applier ``helm`` and the renderer ``helm-template``."""

from __future__ import annotations

import pathlib
from typing import Annotated, Self

import pydantic

from lostromos_core import Backend, ConfigError, Options, ValuesRenderer, backends, hookimpl
from lostromos_helm import applier, renderer, settings
from lostromos_helm.charts import chart_cache, references


def _relative(text: str, info: pydantic.ValidationInfo) -> str:
    """Resolve a path relative to the folder of the configuration file."""
    return str(backends.relative(pathlib.Path(text), info)) if text else ""


def _program(text: str, info: pydantic.ValidationInfo) -> str:
    """Resolve a program: a path like any other, or a bare name, which is looked up on PATH."""
    return str(backends.relative(pathlib.Path(text), info).absolute()) if "/" in text else text


Path = Annotated[str, pydantic.AfterValidator(_relative)]
Program = Annotated[str, pydantic.AfterValidator(_program)]
Pointer = Annotated[str, pydantic.StringConstraints(pattern=r"^(/[^/]+)+$")]


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
    """Configure the sources of charts."""

    chart: str | ChartOptions = pydantic.Field(
        default="",
        description="A folder or .tgz (relative to this file), oci://HOST/NAME:VERSION, https://HOST/NAME:VERSION.",
    )
    registry_config: Path = pydantic.Field(
        default="", alias="registryConfig", description="A file with credentials for OCI registries, as Docker's."
    )
    ca_file: Path = pydantic.Field(
        default="", alias="caFile", description="Certificates of the authority of a repository or registry."
    )
    plain_http: bool = pydantic.Field(
        default=False, alias="plainHttp", description="Whether OCI registries are reached without TLS."
    )
    binary: Program = pydantic.Field(default="", description="The path of helm; found on PATH by default.")
    processes: int = pydantic.Field(default=4, ge=1, le=64, description="Calls of helm at the same time.")
    timeout: float = pydantic.Field(default=300.0, gt=0, description="Seconds that one operation may take.")
    cache: Path = pydantic.Field(
        default="", description="Where charts are kept; by default in lostromos/helm of the user's cache folder."
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

    def access(self) -> chart_cache.Access:
        """Return the access options for repositories and registries."""
        return chart_cache.Access(
            registry_config=self.registry_config, ca_file=self.ca_file, plain_http=self.plain_http
        )


class HelmOptions(AccessOptions):
    """Configure releases made with the real Helm."""

    allow: tuple[str, ...] = pydantic.Field(
        default=(),
        description="Charts that a resource may name with the annotation lostromos.dev/chart; * is any part of a name.",
    )
    prefix: str | None = pydantic.Field(
        default=None, description="Begins the names of releases; by default the controller's name. May be empty."
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
    on_delete: settings.OnDelete = pydantic.Field(
        default="uninstall", alias="onDelete", description="What becomes of a release when its resource is deleted."
    )
    conflicts: settings.Conflicts = pydantic.Field(
        default="force", description="With Helm 4: take fields that other managers own, or fail."
    )
    drift: settings.DriftMode = pydantic.Field(
        default="repair", description="What to do when another field manager changes an object of a release."
    )
    ignore: dict[str, tuple[Pointer, ...]] = pydantic.Field(
        default_factory=dict, description="Kind: JSON pointers to fields whose drift does not count."
    )
    inventory_namespace: str = pydantic.Field(
        default="",
        alias="inventoryNamespace",
        description="For resources that are no Kubernetes objects: where ConfigMaps remember what was applied.",
    )

    def build(self) -> applier.HelmApplier:
        """Build the applier; raises ConfigError."""
        found = self.model_dump(exclude={"chart", "registry_config", "ca_file", "plain_http", "allow", "ignore"})
        found |= {"allow": self.allow, "ignore": self.ignore, "base": self._base, "access": self.access()}
        return applier.HelmApplier(self.reference(), **found)


class HelmTemplateOptions(AccessOptions):
    """Configure the rendering of a chart's manifests for any applier."""

    values: backends.ValuesOptions = pydantic.Field(
        default_factory=backends.ValuesOptions,
        description="How the values are made: the options of the renderer `values`.",
    )
    kinds: tuple[str, ...] = pydantic.Field(
        default=(), description="More kinds than the chart makes of its defaults: Deployment.apps, or ConfigMap."
    )
    prefix: str | None = pydantic.Field(
        default=None, description="Begins the names of releases; by default the controller's name. May be empty."
    )
    hooks: bool = pydantic.Field(
        default=False, description="Whether hooks of installs and upgrades become objects like all others."
    )

    def build(self) -> renderer.HelmTemplateRenderer:
        """Build the renderer; raises ConfigError."""
        chart = self.reference()
        if not chart:
            msg = "renderer helm-template: name a `chart`"
            raise ConfigError(msg)
        found = self.model_dump(exclude={"chart", "registry_config", "ca_file", "plain_http", "values"})
        made = ValuesRenderer(**self.values.keywords())
        return renderer.HelmTemplateRenderer(chart, values=made, base=self._base, access=self.access(), **found)


@hookimpl
def lostromos_renderers() -> dict[str, Backend]:
    """Register ``helm-template``."""
    return {"helm-template": Backend(HelmTemplateOptions, lambda options: options.build())}


@hookimpl
def lostromos_appliers() -> dict[str, Backend]:
    """Register ``helm``."""
    return {"helm": Backend(HelmOptions, lambda options: options.build(), renderer="values")}
