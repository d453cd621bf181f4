"""Locate the cluster and authenticate to it.

``kubeconfigs`` checks a kubeconfig before the official client reads it; ``credentials`` reads it, or the Pod's
service account, and renews tokens before they expire; ``exec_plugins`` kills credential plug-ins that hang. ``tls``
sets up TLS.
"""
