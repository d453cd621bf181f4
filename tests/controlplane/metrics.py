"""The API server's own counters: how many requests of which kind it has served."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Final

WRITES: Final = ("POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION")
"""The verbs of requests that write. APPLY is server-side apply."""

SAMPLE: Final = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")
LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One line of the text format (https://prometheus.io/docs/instrumenting/exposition_formats/)."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclasses.dataclass(frozen=True, slots=True)
class Metrics:
    """All samples at one moment."""

    samples: Sequence[Sample]

    def total(self, name: str, **labels: str | Sequence[str]) -> float:
        """The sum of the samples of this name that have these labels; a sequence means any of its values."""
        wanted = {key: (value,) if isinstance(value, str) else value for key, value in labels.items()}
        return sum(
            sample.value
            for sample in self.samples
            if sample.name == name and all(sample.labels.get(key) in values for key, values in wanted.items())
        )

    def requests(self, *, verb: str | Sequence[str], **labels: str | Sequence[str]) -> int:
        """How many requests were served, such as `requests(verb="LIST", resource="pods")`."""
        return int(self.total("apiserver_request_total", verb=verb, **labels))

    def writes(self, **labels: str | Sequence[str]) -> int:
        """How many requests that write were served, successful or not, such as `writes(group="apps")`."""
        return self.requests(verb=WRITES, **labels)


def parse(text: str) -> Metrics:
    """Read the text that /metrics answers."""
    matches = (SAMPLE.match(line) for line in text.splitlines() if not line.startswith("#"))
    return Metrics([_sample(match) for match in matches if match])


def _sample(match: re.Match[str]) -> Sample:
    return Sample(match["name"], dict(LABEL.findall(match["labels"] or "")), float(match["value"]))
