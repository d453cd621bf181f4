"""Detect which operators run: hold a Lease for this one, and check those of others before taking over their work.

Two processes of one identity never work at the same time, as long as both reach the API server: the later one waits,
and logs for which process. Resources claimed by another identity are left to it while it runs. This is not full
leader election: a holder that is cut off from the API server is not stopped.
"""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import http
import time
from typing import TYPE_CHECKING, Final, final

import structlog

from lostromos_core import errors, identity
from lostromos_core.kube.ownership import holders, lease
from lostromos_core.kube.transport import api_errors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lostromos_core.kube.transport import client

_log = structlog.get_logger("lostromos.presence")

RENEW: Final = 5.0
"""Seconds between two renewals of our Lease."""
LATER: Final = 60.0
"""Seconds between two tries to hold a Lease without the permissions to do so."""
LOOK: Final = 1.0
"""Seconds between two reads of a Lease that another process holds."""
BELIEVE: Final = 2.0
"""Seconds for which the liveness of another operator is cached."""
BLIND: Final = 10.0
"""Longest gap in seconds between two reads after which an unchanged Lease still counts as not renewed."""


class Liveness(enum.Enum):
    """Describe whether another operator runs."""

    RUNS = "its Lease is being renewed"
    UNKNOWN = "its Lease has a holder; whether that renews it will be known in a few seconds"
    GONE = "it has given its Lease back, or has not renewed it for longer than it lasts"
    HIDDEN = "we may not read its Lease"


@final
@dataclasses.dataclass(slots=True)
class _Sight:
    """Hold what was observed of a Lease: its renewal time, since when that is unchanged, and when it was last read."""

    renewed: str | None
    since: float
    looked: float
    liveness: Liveness


@final
class OtherOperators:
    """Track the liveness of other operators; shared by all controllers of a connection.

    ``patient``: wait until it is known, instead of returning UNKNOWN.
    """

    def __init__(
        self,
        kube: client.Transport,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.patient = False
        self._kube = kube
        self._clock = clock
        self._sleep = sleep
        self._seen: dict[str, _Sight] = {}

    async def liveness(self, who: str) -> Liveness:
        """Return whether the operator of an identity runs; raises ApiError."""
        while (liveness := await self._look(who)) is Liveness.UNKNOWN and self.patient:
            await self._sleep(BELIEVE)
        return liveness

    async def _look(self, who: str) -> Liveness:
        now = self._clock()
        seen = self._seen.get(who)
        if seen is not None and now - seen.looked < BELIEVE:
            return seen.liveness
        of = identity.parse(who)
        if of is None:
            return Liveness.GONE
        try:
            found = await lease.read(self._kube, of)
        except errors.ApiError as error:
            if error.status not in api_errors.NO_ACCESS:
                raise
            self._seen[who] = _Sight(None, now, now, Liveness.HIDDEN)
            return Liveness.HIDDEN
        renewed = found.renewed if found else None
        # The holder is not to blame for a time in which we could not read, such as an outage of the API server.
        goes_on = seen is not None and seen.renewed == renewed and now - seen.looked <= BLIND
        liveness = self._judge(seen, found, goes_on=goes_on)
        self._seen[who] = _Sight(renewed, seen.since if seen is not None and goes_on else now, now, liveness)
        return liveness

    def _judge(self, seen: _Sight | None, found: lease.Lease | None, *, goes_on: bool) -> Liveness:
        if found is None or holders.is_over(found.holder):
            return Liveness.GONE
        if seen is None or seen.renewed is None:
            return Liveness.UNKNOWN
        if seen.renewed != found.renewed:
            return Liveness.RUNS
        if not goes_on:
            return Liveness.UNKNOWN
        if self._clock() - seen.since > lease.SECONDS:
            return Liveness.GONE
        return Liveness.UNKNOWN if seen.liveness is Liveness.UNKNOWN else Liveness.RUNS


@final
class Presence:
    """Hold the Lease of this operator from before it starts work until it has stopped.

    ``lost`` is called when another process has acquired the Lease; this one must then stop.
    """

    def __init__(
        self,
        kube: client.Transport,
        own: identity.Identity,
        *,
        lost: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._kube = kube
        self._own = own
        self._lost = lost
        self._clock = clock
        self._sleep = sleep
        self._held: lease.Lease | None = None
        self._said = ""
        self._me = holders.me(next(holders.numbers))
        self._pause = RENEW
        self._renewing: asyncio.Task[None] | None = None

    async def hold(self, *, wait: bool) -> None:
        """Acquire the Lease; while another process with this identity runs, wait for it.

        Without ``wait``, raise RefusedError as soon as the other process is known to run, and continue without a Lease
        if the request fails. Without the permissions to hold one, continue and retry in the background.
        """
        sight = _Sight("", 0.0, 0.0, Liveness.UNKNOWN)
        holders.present.add(self._me)
        while self._held is None:
            try:
                found = await self._try_to_take(sight)
            except errors.ApiError as error:
                if error.status in api_errors.NO_ACCESS:
                    self._go_without(error)
                    break
                self._tell("the Lease cannot be acquired; retrying", error)
                if not wait and error.status != http.HTTPStatus.CONFLICT:
                    return
            else:
                if found is not None:
                    self._await_its_end(sight, found, wait=wait)
            if self._held is None:
                await self._sleep(LOOK)
        self._renewing = asyncio.create_task(self._renew(), name="renew the Lease")

    async def _try_to_take(self, sight: _Sight) -> lease.Lease | None:
        """Acquire the Lease if it is free; else return it, with the observation in ``sight``. Raises ApiError."""
        found, now = await lease.read(self._kube, self._own), self._clock()
        if found is not None and found.renewed != sight.renewed:
            sight.liveness = Liveness.RUNS if sight.renewed else Liveness.UNKNOWN
            sight.renewed, sight.since = found.renewed, now
        if found is not None and not holders.is_over(found.holder) and now - sight.since <= lease.SECONDS:
            return found
        self._held = await lease.write(self._kube, self._own, self._me, found)
        return None

    def _await_its_end(self, sight: _Sight, found: lease.Lease, *, wait: bool) -> None:
        """Log once for which holder we wait; raise RefusedError if it runs and we are not to wait."""
        if not wait and sight.liveness is Liveness.RUNS:
            msg = f"another operator with identity {self._own} is running ({found.holder}); stop it first"
            raise errors.RefusedError(msg)
        if self._said != found.holder:
            self._said = found.holder
            what = "waiting for another operator with this identity to stop"
            _log.warning(what, identity=str(self._own), holder=found.holder)

    def _tell(self, what: str, error: errors.LostromosError) -> None:
        """Log a failure, unless it is the same as the last one."""
        if self._said != str(error):
            self._said = str(error)
            _log.warning(what, identity=str(self._own), reason=str(error))

    async def give_back(self) -> None:
        """Release the Lease, so that the next process can start immediately."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait({self._renewing})
        holders.present.discard(self._me)
        held, self._held = self._held, None
        if held is None:
            return
        try:
            async with asyncio.timeout(2):
                await lease.give_back(self._kube, self._own, held)
        except (errors.LostromosError, TimeoutError) as error:
            _log.warning("the Lease was not released; the next operator waits until it expires", reason=str(error))

    def _go_without(self, error: errors.ApiError) -> None:
        self._pause = LATER
        _log.warning(
            "no Lease can be held, so a second operator would not be noticed; give the operator the verbs get, "
            "create, update and delete on leases in coordination.k8s.io, or run one process only",
            identity=str(self._own), reason=str(error),
        )  # fmt: skip

    async def _renew(self) -> None:
        """Renew the Lease until cancelled; retry after errors, unless another process has acquired it."""
        while True:
            await self._sleep(self._pause)
            try:
                self._held = await lease.write(self._kube, self._own, self._me, self._held)
                self._pause, self._said = RENEW, ""
            except errors.LostromosError as error:
                if not isinstance(error, errors.ApiError) or error.status not in {
                    http.HTTPStatus.CONFLICT,
                    http.HTTPStatus.NOT_FOUND,
                }:
                    self._tell("the Lease could not be renewed; retrying", error)
                elif not await self._still_ours():
                    return
            except Exception:  # noqa: BLE001 - else the Lease would expire unnoticed
                _log.exception("unexpected error; the Lease will be renewed again")

    async def _still_ours(self) -> bool:
        """Return whether we may continue, by reading the Lease after a conflicting version was found."""
        try:
            found = await lease.read(self._kube, self._own)
        except errors.LostromosError as error:
            self._tell("the Lease could not be read; retrying", error)
            return True
        if found is None or holders.is_over(found.holder) or found.holder == self._me:
            self._held = found
            return True
        if self._held is None and self._pause == LATER:  # we never had it: the other process was first
            self._tell("the Lease is another operator's", errors.RefusedError(found.holder))
            return True
        self._held = None
        self._lost(f"another process has taken the Lease {self._own}: {found.holder}")
        return False
