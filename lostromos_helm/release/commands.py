"""Run one operation of Helm on one release (install, upgrade or uninstall), and return its answer."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

import orjson

from lostromos_core import errors
from lostromos_core.kube.transport import encoding
from lostromos_helm.charts import traits
from lostromos_helm.helm import binary, failures, hiding, misfits
from lostromos_helm.release import helm_values, holders, storage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from lostromos_core import interfaces, process
    from lostromos_helm import settings
    from lostromos_helm.charts import chart_cache
    from lostromos_helm.release import releases

_Shape: TypeAlias = tuple[str, str]
"""The digests of a chart, and of the keys and types of its values."""
MOST_SHAPES: Final = 10_000
"""Shapes that are remembered."""
PATIENCE: Final = 3.0
"""Seconds to wait for another run of Helm that validates the same shape: it reads all of the API's schemas."""


@final
@dataclasses.dataclass(frozen=True, slots=True)
class ReleasePlan:
    """Describe a desired release. ``input``: the values as Helm gets them. ``digest``: that of all its inputs."""

    owner: interfaces.Resource
    owner_id: str
    place: releases.Place
    chart: chart_cache.Chart
    rendered: interfaces.Values
    input: bytes
    digest: str
    secrets: hiding.Hidden = hiding.NOTHING
    """Texts that the resource's author must not see."""

    @property
    def values(self) -> Mapping[str, Any]:
        """Return the values, without the chart's defaults."""
        return self.rendered.values

    @property
    def name(self) -> str:
        """Return a readable name."""
        return f"release {self.place[0]}/{self.place[1]}"


@final
class Operations:
    """Run Helm for the releases of one controller."""

    def __init__(self, helm: binary.Helm, controller: str, options: settings.HelmOptions, *, dry_run: bool) -> None:
        self._helm = helm
        self._controller = controller
        self._options = options
        self._dry_run = dry_run
        self._validated: collections.OrderedDict[_Shape, None] = collections.OrderedDict()
        self._validating: dict[_Shape, asyncio.Event] = {}

    async def install(self, plan: ReleasePlan, revision: int = 1) -> Mapping[str, Any]:
        """Install a release that does not exist; return Helm's answer. Raises the error that explains a failure.

        A later ``revision`` replaces failed installs: their objects are taken over, and install hooks run again.
        """
        switches = [*(["create-namespace"] if self._options.create_namespace else []), *self._rollback(proven=True)]
        switches += [*self._way_of_writing(plan), *(["replace"] if revision > 1 else [])]
        return await self._run("install", plan, revision, switches)

    async def upgrade(self, plan: ReleasePlan, revision: int, *, proven: bool = True) -> Mapping[str, Any]:
        """Upgrade a release to ``revision``; as ``install``.

        ``proven``: the contents of earlier revisions are proven. Otherwise Helm does not roll back to one, and to its
        hooks.
        """
        # A release made by Helm 3 keeps client-side apply, which cannot force conflicts, unless told otherwise.
        # And Helm reuses the values of the previous revision if there are none now, unless told otherwise.
        writing = self._way_of_writing(plan) or (["server-side=true"] if self._forces else [])
        switches = ["reset-values", *writing, *self._rollback(proven=proven)]
        return await self._run("upgrade", plan, revision, switches, **{"history-max": str(self._options.history)})

    async def uninstall(
        self, place: releases.Place, secrets: hiding.Hidden = hiding.NOTHING, *, hooks: bool = True
    ) -> None:
        """Uninstall a release with its objects; do nothing if it is gone. Raises the error that explains a failure.

        ``hooks``: it may have hooks that run on uninstall.
        """
        namespace, name = place
        chosen = {"no-hooks": not self._options.hooks, "wait": self._options.wait, "dry-run": self._dry_run}
        switches = [name for name, wanted in chosen.items() if wanted]
        waits = self._options.wait or (hooks and self._options.hooks)
        done = await self._helm.run(
            "uninstall", name, f"--namespace={namespace}", "--ignore-not-found", *self._helm.limits(),
            *binary.flags({}, switches), deletes=True, wait=binary.Wait.LEAVING if waits else binary.Wait.NONE,
        )  # fmt: skip
        if done.status:
            raise failures.explain(done, f"uninstall the release {namespace}/{name}", secrets)

    async def _run(
        self, verb: str, plan: ReleasePlan, revision: int, switches: Sequence[str], **named: str
    ) -> Mapping[str, Any]:
        shape = plan.chart.digest, helm_values.digest(helm_values.encode(helm_values.shape(plan.values)))
        labels = ",".join(f"{key}={value}" for key, value in self._labels(plan, revision).items())
        owner = plan.owner
        named |= {
            "namespace": plan.place[0],
            "values": "-",
            "output": "json",
            "labels": labels,
            "description": f"{owner.ref}, generation {owner.generation}",
        }
        forces = self._forces and "server-side=false" not in switches  # only a server-side apply has conflicts
        async with self._known(shape) as known:
            flags = binary.flags(named, [*switches, *self._switches(known=known, forces=forces)])
            command = [verb, plan.place[1], str(plan.chart.path), *flags, *self._helm.limits()]
            done = await self._helm.run(*command, stdin=plan.input, wait=self._wait(plan), deletes=verb == "upgrade")
            if done.status:
                raise self._failure(done, f"{verb} the {plan.name}", plan)
            self._validated[shape] = None
            if len(self._validated) > MOST_SHAPES:
                self._validated.popitem(last=False)
        try:
            found: Mapping[str, Any] = orjson.loads(done.output)
        except orjson.JSONDecodeError as error:
            raise errors.ProcessError(f"{verb} the {plan.name}: helm's output cannot be read") from error
        return found

    def _wait(self, plan: ReleasePlan) -> binary.Wait:
        """Return whether an install or upgrade may wait: as the options specify, or because of the chart."""
        chart = traits.of(plan.chart.path)
        waits = self._options.waits or chart.definitions or (chart.hooks and self._options.hooks)
        return binary.Wait.COMING if waits else binary.Wait.NONE

    def _failure(self, done: process.Completed, action: str, plan: ReleasePlan) -> errors.LostromosError:
        error = failures.explain(done, action, plan.secrets, plan.rendered, plan.chart.name, plan.chart.keys)
        return misfits.MisfitError(str(error)) if failures.is_misfit(done) else error

    @contextlib.asynccontextmanager
    async def _known(self, shape: _Shape) -> AsyncIterator[bool]:
        """Yield whether a shape has passed the API's schemas; wait briefly while another run validates it."""
        if shape not in self._validated and shape in self._validating:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    await self._validating[shape].wait()
        if shape in self._validated:
            yield True
            return
        ended = self._validating.setdefault(shape, asyncio.Event())
        try:
            yield False
        finally:
            ended.set()
            self._validating.pop(shape, None)

    def _way_of_writing(self, plan: ReleasePlan) -> list[str]:
        """Return the switch for values with characters that YAML forbids: Helm 4's applies are read as YAML."""
        plain = encoding.is_safe_in_yaml(encoding.encode(plan.values, f"the values of the {plan.name}"))
        return [] if plain or not self._helm.version.is_server_side else ["server-side=false"]

    @property
    def _forces(self) -> bool:
        """Return whether to take over fields of other managers: only Helm 4 supports it."""
        return self._helm.version.is_server_side and self._options.conflicts == "force"

    def _rollback(self, *, proven: bool) -> list[str]:
        """Return the switch that makes Helm roll back a failure; Helm 4 has another name for it."""
        if not self._options.atomic or not proven:
            return []
        return ["rollback-on-failure" if self._helm.version.is_server_side else "atomic"]

    def _switches(self, *, known: bool, forces: bool) -> list[str]:
        """Return the switches of install and upgrade."""
        options = self._options
        chosen = {
            "disable-openapi-validation": known,
            "wait": options.waits,
            "no-hooks": not options.hooks,
            "take-ownership": options.adopt,
            "force-conflicts": forces,
            "dry-run=server": self._dry_run,
        }
        return [name for name, wanted in chosen.items() if wanted]

    def _labels(self, plan: ReleasePlan, revision: int) -> Mapping[str, str]:
        ref = plan.owner.ref
        found = {
            storage.CONTROLLER: self._controller,
            storage.OWNER: plan.owner_id,
            storage.INPUT: plan.digest,
            storage.REVISION: str(revision),
            storage.HOLDER: holders.this_process(),
        }
        if storage.is_label(ref.name) and (not ref.namespace or storage.is_label(ref.namespace)):
            found |= {storage.NAME: ref.name, **({storage.NAMESPACE: ref.namespace} if ref.namespace else {})}
        kind = f"{ref.kind}.{ref.group}"
        return {**found, storage.KIND: kind} if storage.is_label(kind) else found
