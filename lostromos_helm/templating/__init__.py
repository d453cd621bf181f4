"""Render charts for other appliers.

``rendering`` runs ``helm template`` with the kinds that the cluster serves (``served``). ``confinement`` refuses
objects that only values could have added, ``definitions`` creates the chart's CustomResourceDefinitions, and
``keeping`` keeps generated values such as passwords, by ``blending`` two renderings.
"""
