"""What differs between what two ways have made of a chart."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.charts import snapshot

Path = tuple[str, ...]
Objects = Mapping[snapshot.Key, snapshot.Item]
SHOWN: Final = 60
"""Characters of a value that are shown; those of Secrets are not."""


def names(key: snapshot.Key) -> str:
    """An object for people."""
    group, kind, namespace, name = key
    return f"{kind}{'.' if group else ''}{group} {f'{namespace}/' if namespace else ''}{name}"


def changing(one: Objects, other: Objects) -> set[tuple[snapshot.Key, Path]]:
    """The fields that differ between two installs by hand: nobody can make them alike."""
    return {
        (key, path) for key in one.keys() & other.keys() for path, _, _ in _leaves(one[key].body, other[key].body, ())
    }


def differences(hand: Objects, ours: Objects, but: set[tuple[snapshot.Key, Path]]) -> Iterator[str]:
    """What one has and the other has not, and the fields that differ, but for those that always do."""
    for key in sorted(hand.keys() - ours.keys()):
        yield f"missing: {names(key)}"
    for key in sorted(ours.keys() - hand.keys()):
        yield f"extra: {names(key)}"
    for key in sorted(hand.keys() & ours.keys()):
        for path, left, right in _leaves(hand[key].body, ours[key].body, ()):
            if not any(known == key and path[: len(always)] == always for known, always in but):
                secret = key[1] == "Secret"
                shown = "" if secret else f": by hand {_short(left)}, ours {_short(right)}"
                yield f"differs: {names(key)} {'.'.join(path)}{shown}"


def _leaves(one: Any, other: Any, path: Path) -> Iterator[tuple[Path, Any, Any]]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            yield from _leaves(one.get(key), other.get(key), (*path, key))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from _leaves(left, right, (*path, str(index)))
    elif one != other:
        yield path, one, other


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
