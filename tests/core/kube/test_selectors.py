"""What selects objects is checked as the API server will check it."""

from __future__ import annotations

import pytest

from lostromos_core.kube.watching import selectors


@pytest.mark.parametrize(
    "selector",
    [
        "", " ", "tier=web", "tier==web", "tier != web", "tier=", "a", "!a", "! a", "a,b", " a , !b ", "a in (x)", "a in(x,y)", "a notin ( x , y )",
        "a in (,x)", "example.com/a-b_c.d=X.1-2_z", "a>1", "a < -5", "in=notin", "a in (x),b notin (y),c=d", "x" * 63 + "=" + "y" * 63, "a" * 253 + "/x",
    ],
)  # fmt: skip
def test_a_selector_of_kubernetes_is_taken(selector: str) -> None:
    assert selectors.check_labels(selector) == selector.strip()


@pytest.mark.parametrize(
    ("selector", "part"),
    [
        ("(((", "((("), ("a=b,", ""), (",", ""), ("a b", "a b"), ("a=b c", "a=b c"), ("a in x", "a in x"), ("ain (x)", "ain (x)"), ("a in (x", "a in (x"), ("a in ()y", "a in ()y"),
        ("a==b==c", "a==b==c"), ("!a=b", "!a=b"), ("-a", "-a"), ("a=-b", "a=-b"), ("a/b/c", "a/b/c"), ("/a", "/a"), ("A.com/a=b", "A.com/a=b"), ("a>x", "a>x"), ("ok=1,n\xf6=1", "n\xf6=1"),
        ("x" * 64, "x" * 64), ("a=" + "y" * 64, "a=" + "y" * 64), ("a" * 254 + "/x", "a" * 254 + "/x"), ("a=b\n", None),
    ],
)  # fmt: skip
def test_what_is_none_is_refused_with_the_part_that_is_wrong(selector: str, part: str | None) -> None:
    if part is None:
        assert selectors.check_labels(selector) == "a=b"
        return
    with pytest.raises(ValueError, match="write, separated by commas") as caught:
        selectors.check_labels(selector)
    assert str(caught.value).startswith(repr(part))
