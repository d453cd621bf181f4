"""Build an Operator from a configuration: find the back ends, check their options, create the controllers."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, final

import pydantic

from lostromos_core import backends, errors, plugins
from lostromos_core import identity as identities
from lostromos_core.configuration import config
from lostromos_core.engine import controller, operator, variables
from lostromos_core.kube.lookup import lookups

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lostromos_core import interfaces
    from lostromos_core.kube import cluster
    from lostromos_core.kube.transport import client


@final
@dataclasses.dataclass(frozen=True, slots=True)
class Setup:
    """Hold a configuration that has been read, and the plug-ins that it can use."""

    settings: config.Config
    document: config.Document
    registry: plugins.Registry

    def part(self, index: int, field: str) -> interfaces.Anything:
        """Return the back end of a controller's ``watch``, ``render`` or ``apply``; raises ConfigError with a line."""
        choice = getattr(self.settings.controllers[index], field) or self._default(index, field)
        ((name, given),) = choice.items()
        where = ("controllers", index, field)
        try:
            backend = self.registry.backend({"watch": "watcher", "render": "renderer", "apply": "applier"}[field], name)
        except errors.PluginError as error:
            raise self.document.error(where, str(error)) from error
        options = self.document.validate(backend.options, {} if given is None else given, (*where, name))
        try:
            return backend.build(options)
        except errors.ConfigError as error:
            below = [error.field] if isinstance(error, backends.OptionError) else []
            raise self.document.error((*where, name, *below), str(error)) from error

    def _default(self, index: int, field: str) -> dict[str, Any]:
        """Return the default renderer of a controller's applier, for a controller that names no renderer."""
        (applier,) = self.settings.controllers[index].apply
        try:
            found = self.registry.backend("applier", applier).renderer
        except errors.PluginError as error:
            raise self.document.error(("controllers", index, "apply"), str(error)) from error
        if not found:
            msg = f"this key is required, since the applier {applier} has no default renderer"
            raise self.document.error(("controllers", index, field), msg)
        return {found: None}

    def check(self) -> None:
        """Raise ConfigError for every mistake that can be found without a cluster."""
        for index in range(len(self.settings.controllers)):
            self._controller(index)
        self._refuse_twins()

    def operator(self, kube: client.Client, *, workers: int | None = None, identity: str = "") -> operator.Operator:
        """Return the Operator that the configuration describes; raises ConfigError."""

        async def gather(kube: cluster.Cluster) -> Mapping[str, Any]:
            return await variables.gather(self.settings, self.document, variables.from_cluster(kube))

        self._refuse_twins()
        return operator.Operator(
            [self._controller(index) for index in range(len(self.settings.controllers))],
            vars=gather,
            kube=kube,
            registry=self.registry,
            workers=workers or self.settings.workers,
            identity=identities.choose(identity or self.settings.identity, str(self.document.path)),
        )

    def _refuse_twins(self) -> None:
        names = [controller.name for controller in self.settings.controllers]
        for index, name in enumerate(names):
            if name in names[:index]:
                msg = f"another controller has the name {name!r}; names must differ"
                raise self.document.error(("controllers", index, "name"), msg)

    def _controller(self, index: int) -> controller.Controller:
        given = self.settings.controllers[index]
        self._try(index, "name", lambda: controller.check_name(given.name))
        parts = {field: self.part(index, field) for field in ("watch", "render", "apply")}
        self._try(index, "render", lambda: controller.check_fit(parts["render"], parts["apply"]))
        policy = lookups.Policy(**dict(given.lookup))
        return controller.Controller(
            given.name, **parts, lookup=policy,
            resync=given.resync, concurrency=given.concurrency, deadline=given.deadline,
        )  # fmt: skip

    def _try(self, index: int, field: str, check: Callable[[], None]) -> None:
        """Run a check; if it raises ConfigError, raise that with the line of a controller's field."""
        try:
            check()
        except errors.ConfigError as error:
            raise self.document.error(("controllers", index, field), str(error)) from error


def json_schema(registry: plugins.Registry) -> dict[str, Any]:
    """Return the JSON Schema of lostromos.yaml, with the options of all installed back ends, for editors."""
    schema = config.Config.model_json_schema(by_alias=True)
    definitions = schema.setdefault("$defs", {})
    for field, kind in (("watch", "watcher"), ("render", "renderer"), ("apply", "applier")):
        choices = {}
        for name in registry.names(kind):
            options = registry.backend(kind, name).options
            own = pydantic.TypeAdapter(options).json_schema(by_alias=True, ref_template="#/$defs/{model}")
            definitions.update(own.pop("$defs", {}))
            choices[name] = {"anyOf": [own, {"type": "null"}]}
        definitions["ControllerConfig"]["properties"][field] |= {"properties": choices, "additionalProperties": False}
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "lostromos.yaml"
    return schema
