"""Every character that a resource can hold arrives in the objects that are made of it. Both appliers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from lostromos_core import interfaces
from lostromos_core.kube.transport import encoding
from tests import fakes
from tests.contract import test_looking_after

if TYPE_CHECKING:
    from tests.contract import test_appliers

CHUNK = 150_000
SURROGATES = range(0xD800, 0xE000)
ALL = [chr(code) for code in range(0x110000) if code not in SURROGATES]


async def test_every_code_point_arrives_as_a_value(target: test_appliers.ClusterTarget) -> None:
    owner = target.owner("web")
    chunks = ["".join(ALL[at : at + CHUNK]) for at in range(0, len(ALL), CHUNK)]
    items = [fakes.config_map(f"chunk{number}", {"text": text}) for number, text in enumerate(chunks)]
    async with target.applier() as applier:
        for item in items:
            found = await test_looking_after.apply(applier, owner, item)
            assert [result.action for result in found.objects] == [interfaces.Action.CREATED], found
            owner = target.fresh(owner)
            assert target.data(item.ref.name) == item.data["data"]
            target.api.delete(target.path(item.ref.name))


async def test_each_odd_character_arrives_by_itself_and_between_others(target: test_appliers.ClusterTarget) -> None:
    """In a place of its own nothing hides what happens to it: a line break would be folded into a space."""
    owner = target.owner("web")
    odd = [*range(0x20), *range(0x7F, 0xA1), 0xAD, 0x2028, 0x2029, 0xFEFF, 0xFFFD, 0xFFFE, 0xFFFF, 0x1FFFE, 0x10FFFF]
    data = {
        f"k{code:x}-{number}": text.format(chr(code))
        for code in odd
        for number, text in enumerate(("{}", "a{}b", " {} "))
    }
    async with target.applier() as applier:
        await test_looking_after.apply(applier, owner, fakes.config_map("odd", data))
    assert target.data("odd") == data


@given(st.text())
def test_json_that_is_safe_in_yaml_is_the_same_json(text: str) -> None:
    import orjson  # noqa: PLC0415 - the decoder only

    written = encoding.safe_in_yaml(encoding.encode({text: [text]}, "write"))
    assert orjson.loads(written) == {text: [text]}
    assert encoding.is_safe_in_yaml(written)
