"""The marks that stand for values while a template is text."""

import pytest

from lostromos_core.templates.data import tokens


def test_the_shape_of_a_text_has_a_hole_for_each_token() -> None:
    text = f"a: {tokens.token(7)}, b: {tokens.token(0)}"
    assert tokens.shape_of(text) == (f"a: {tokens.HOLE}, b: {tokens.HOLE}", [7, 0])


@pytest.mark.parametrize("end", range(1, 7))
def test_a_cut_token_is_an_error_wherever_it_is_cut(end: int) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - it has no message: the caller knows the text
        tokens.shape_of(tokens.token(7)[:-end])
