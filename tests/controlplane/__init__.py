"""A real Kubernetes control plane on this machine: etcd, kube-apiserver and, if wanted, kube-controller-manager.

Tests, benchmarks and the demo run on the real thing; no container engine, kubelet or network beyond loopback is needed.
From the shell: `python -m tests.controlplane --help`. From Python:

    from tests.controlplane import api, cluster

    with cluster.ControlPlane() as plane:
        admin = api.Api(plane.access("admin"))
        admin.get("/version")

The rooms: `binaries` finds the programs (and `build`, `toolchain`, `progress`, `cache` make them where there are none);
`cluster` starts, disturbs and stops them (`plans`, `commands`, `certificates`, `users`, `ports`, `server`, `guard`,
`compaction`); `kept` keeps one running between shell commands, `child` runs a command with one; `api`, `crds`,
`metrics` and `waiting` are for tests that talk to it; `leaks` notices what a test left behind; `errors` is what can go
wrong.
"""
