"""The benchmark: what the operator costs, beside what the same writes cost at least, on a real control plane.

    python -m tests.bench --help

The rooms: `runs` puts one run together; `workload` is what is measured on, `project` its templates; `floor` runs
`floor_program`, which sends what `writes` makes; `phases` measures the operator that `running` starts; `observer` is
what the benchmark itself sees of the cluster; `counters` and `processes` read what the servers and processes have
used; `figures` compares with the targets, `report` shows it.
"""
