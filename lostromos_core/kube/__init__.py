"""The Kubernetes API: client, discovery, watching. The only rooms of the core that know it.

Public for back ends: ``from lostromos_core import kube`` and then ``kube.client``, ``kube.marks``, ``kube.paths``...
"""

from lostromos_core.kube import answers, client, discovery, events, marks, paths, schema, watch

__all__ = ["answers", "client", "discovery", "events", "marks", "paths", "schema", "watch"]
