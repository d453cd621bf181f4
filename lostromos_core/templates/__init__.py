"""Render templates: prepared statements for YAML, in which data can never become structure.

This is the only package that knows Jinja2 and YAML text. Its modules, in the order in which data passes through them:

- ``template_folder`` finds the files of a template folder; ``library`` compiles them.
- ``sandbox`` runs a template with its ``filters``; each expression writes a token in place of its value.
- ``slots`` turns text with tokens into plain data (``data``).
- ``manifests`` builds Kubernetes objects from it; ``cycles`` finds files that wait for each other.
- ``renderer`` contains JinjaRenderer, and ``values_renderer`` contains ValuesRenderer.
"""
