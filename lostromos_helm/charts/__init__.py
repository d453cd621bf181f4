"""Fetch and read charts.

``references`` parses the name of a chart; ``chart_cache`` fetches it; ``store`` keeps each chart under its digest.
``chart_files`` reads the files of a chart, ``traits`` finds the features that affect how Helm is called, and ``lint``
finds risky uses of values.
"""
