"""Settings of the state machines: few random programs in the test run, and as many as are asked for by hand."""

from __future__ import annotations

import os

import hypothesis


def settings(*, programs: int, steps: int) -> hypothesis.settings:
    """Run so many random programs of so many steps; ``$PROGRAMS`` is the number instead, if it is set."""
    return hypothesis.settings(
        max_examples=int(os.environ.get("PROGRAMS", programs)),
        stateful_step_count=steps,
        deadline=None,
        derandomize=False,
        database=None,
        print_blob=True,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate],
    )


def limit(seconds: int) -> int:
    """Return the seconds that the usual number of programs may take; 0, which is no limit, for another number."""
    return 0 if "PROGRAMS" in os.environ else seconds
