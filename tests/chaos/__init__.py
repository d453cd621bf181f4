"""A proxy that sits on loopback between an operator and a real API server and breaks what passes, as told.

    from tests.chaos import breaks, proxy

    with proxy.ChaosProxy(url, token=token, ca_file=ca_file, folder=tmp_path) as chaos:
        with chaos.add(breaks.BlackHole(200), query="watch=true", times=1) as rule:
            ...  # run an operator with chaos.kubeconfig until rule.applied
            assert not chaos.writes()

The rooms: tests use `proxy`, with `actions`, `breaks` and `edits` for what rules do, and read `records`; `rules` says
when. `relay`, `connection` and `exchange` carry the bytes, over `peers`, `messages`, `bodies`, `sinks` and `lines`;
`background` has the thread. `rig` is for the proxy's own tests.
"""
