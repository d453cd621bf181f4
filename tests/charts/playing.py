"""Plays the kubelet while charts are tried: Pods run, and those of Jobs end."""

from tests.controlplane import api, kubelet


class Kubelet(kubelet.Playing):
    """Runs all Pods but those of Jobs, which it ends."""

    def outcome(self, pod: api.Json) -> api.Json:
        """That it runs, or has ended."""
        ends = any(owner["kind"] == "Job" for owner in pod["metadata"].get("ownerReferences") or [])
        return {"phase": "Succeeded"} if ends else kubelet.running()
