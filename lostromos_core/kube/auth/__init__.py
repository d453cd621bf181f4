"""Find out where the cluster is and how to authenticate.

``kubeconfigs`` checks a kubeconfig before the official client reads it; ``credentials`` reads it, or the Pod's
service account, and renews tokens before they expire; ``exec_plugins`` ends credential plug-ins that hang. ``tls``
sets up TLS.
"""
