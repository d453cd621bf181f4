"""Run the real Helm and interpret its output.

``binary`` finds and runs it. ``failures`` turns its error message into an error, ``misfits`` does so for values that do
not match a chart's schema, and ``hiding`` removes secrets from the text first. ``goyaml`` reads YAML as Helm does.
"""
