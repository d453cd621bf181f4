"""Fetch and read charts.

``references`` parses the name of a chart; ``chart_cache`` fetches it; ``store`` keeps each chart under its digest.
``chart_files`` reads the files of a chart, ``traits`` finds what decides how Helm is called for it, and ``lint``
finds values that are used in risky ways.
"""
