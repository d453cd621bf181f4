"""Which operators run: this one shows it by a Lease, and looks at the Leases of others before it takes their work.

Two processes of one identity never work at the same time, as long as both reach the API server: the later one waits,
and says for whom. What another identity claimed is left to it while it runs. This is no full leader election: a
holder that is cut off from the API server is not stopped.
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
"""Seconds between two tries to hold a Lease without the rights to do so."""
LOOK: Final = 1.0
"""Seconds between two looks at a Lease that another process holds."""
BELIEVE: Final = 2.0
"""Seconds for which an answer about another operator is believed."""
BLIND: Final = 10.0
"""Seconds between two looks after which what happened meanwhile is not known."""


class Liveness(enum.Enum):
    """Whether another operator runs."""

    RUNS = "its Lease is being renewed"
    UNKNOWN = "its Lease has a holder, and whether that renews it will be known in some seconds"
    GONE = "it has given its Lease back, or has not renewed it for longer than it lasts"
    HIDDEN = "we may not read its Lease"


@final
@dataclasses.dataclass(slots=True)
class _Sight:
    """What was seen of a Lease: the renewal, since when it is the same, and when that was looked at last."""

    renewed: str | None
    since: float
    looked: float
    liveness: Liveness


@final
class OtherOperators:
    """What is known of other operators; shared by all controllers of a connection.

    ``patient``: wait until it is known, instead of answering UNKNOWN.
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
        # Of a time in which we could not look, as when the API server was away, the holder may not be blamed.
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
    """The Lease of this operator, from before it works until it has stopped.

    ``lost`` is called when another process has taken it: then this one has to stop.
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
        """Take the Lease; while another process of this identity runs, wait for its end.

        Not to ``wait`` means: raise RefusedError as soon as the other one is seen to run, and go on without a Lease if
        the API server does not answer. Without the rights to hold one, go on and try again in the background.
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
                self._tell("the Lease cannot be taken, it will be tried again", error)
                if not wait and error.status != http.HTTPStatus.CONFLICT:
                    return
            else:
                if found is not None:
                    self._await_its_end(sight, found, wait=wait)
            if self._held is None:
                await self._sleep(LOOK)
        self._renewing = asyncio.create_task(self._renew(), name="renew the Lease")

    async def _try_to_take(self, sight: _Sight) -> lease.Lease | None:
        """Take the Lease if nobody has it; else return it, and note in ``sight`` what was seen. Raises ApiError."""
        found, now = await lease.read(self._kube, self._own), self._clock()
        if found is not None and found.renewed != sight.renewed:
            sight.liveness = Liveness.RUNS if sight.renewed else Liveness.UNKNOWN
            sight.renewed, sight.since = found.renewed, now
        if found is not None and not holders.is_over(found.holder) and now - sight.since <= lease.SECONDS:
            return found
        self._held = await lease.write(self._kube, self._own, self._me, found)
        return None

    def _await_its_end(self, sight: _Sight, found: lease.Lease, *, wait: bool) -> None:
        """Say once for whom we wait; raise RefusedError if we do not wait, and it is seen to run."""
        if not wait and sight.liveness is Liveness.RUNS:
            msg = f"another operator of the identity {self._own} is running ({found.holder}); stop it first"
            raise errors.RefusedError(msg)
        if self._said != found.holder:
            self._said = found.holder
            what = "waiting for another operator of the same identity to end"
            _log.warning(what, identity=str(self._own), holder=found.holder)

    def _tell(self, what: str, error: errors.LostromosError) -> None:
        """Log a failure, once as long as it stays the same."""
        if self._said != str(error):
            self._said = str(error)
            _log.warning(what, identity=str(self._own), reason=str(error))

    async def give_back(self) -> None:
        """Let the next one begin at once."""
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
            _log.warning("the Lease could not be given back; the next operator waits for its end", reason=str(error))

    def _go_without(self, error: errors.ApiError) -> None:
        self._pause = LATER
        _log.warning(
            "no Lease can be held, so that a second operator would not be noticed; give the operator the verbs get, "
            "create, update and delete on leases in coordination.k8s.io, or run one process only",
            identity=str(self._own), reason=str(error),
        )  # fmt: skip

    async def _renew(self) -> None:
        """Renew until cancelled; what goes wrong is tried again, unless another process has the Lease."""
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
                    self._tell("the Lease could not be renewed, it will be tried again", error)
                elif not await self._still_ours():
                    return
            except Exception:  # noqa: BLE001 - others would take us for dead, and nobody would notice
                _log.exception("unexpected error, the Lease will be renewed again")

    async def _still_ours(self) -> bool:
        """Read the Lease after another version of it was found; whether we may go on."""
        try:
            found = await lease.read(self._kube, self._own)
        except errors.LostromosError as error:
            self._tell("the Lease could not be read, it will be tried again", error)
            return True
        if found is None or holders.is_over(found.holder) or found.holder == self._me:
            self._held = found
            return True
        if self._held is None and self._pause == LATER:  # we have never had it: the other one was there before
            self._tell("the Lease is another operator's", errors.RefusedError(found.holder))
            return True
        self._held = None
        self._lost(f"another process has taken the Lease {self._own}: {found.holder}")
        return False
