"""Run controllers.

``bootstrap`` builds an Operator from a configuration, with the ``variables`` that templates see. ``operator`` runs
its controllers (``controller``): watchers put keys into a ``workqueue``, workers take them and call ``reconcile``,
and ``change_log`` logs what changed. ``reports`` decides what is reported of a reconcile, ``results`` collects that
for ``run --once``, ``supervision`` keeps watchers running, and ``event_loop`` handles signals.
"""
