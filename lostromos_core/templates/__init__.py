"""Templates: prepared statements for YAML, in which no data can become structure.

The only package that knows Jinja2 and YAML text. In the order in which data passes:

- ``template_folder`` finds the files of a folder of templates; ``library`` compiles them.
- ``sandbox`` runs a template with its ``filters``; each expression writes a token instead of its value.
- ``slots`` turns text with tokens into plain data (``data``).
- ``manifests`` makes Kubernetes objects of it; ``cycles`` finds files that wait for each other.
- ``renderer`` is the JinjaRenderer, ``values_renderer`` the ValuesRenderer.
"""
