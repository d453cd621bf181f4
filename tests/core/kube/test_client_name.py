"""Names of version 0.1 go on working, and say what they are called now."""

import pytest

from lostromos_core.kube import client


def test_the_client_is_found_under_its_old_name() -> None:
    with pytest.deprecated_call(match="Kube is now called Client"):
        assert client.Kube is client.Client
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = client.Nothing
