"""Run controllers.

``bootstrap`` builds an Operator from a configuration, with the ``variables`` that templates see. ``operator`` runs its
controllers (``controller``): watchers put keys into a ``workqueue``, the workers of a ``worker_pool`` take them and
call ``reconcile``, and ``change_log`` logs what changed. ``reports`` decides what to report after a reconcile,
and collects the results for ``run --once``, ``supervision`` keeps watchers running, and ``event_loop`` handles
signals.
"""
