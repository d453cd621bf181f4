"""Turn text with tokens into plain data.

``lexer`` turns template source into Jinja2's tokens. ``compiler`` parses the text that Jinja2 made into a ``program``
with places for values; ``blocks`` does so faster for common text, ``fragments`` indents macros, and ``splices`` merges
values among keys and items. ``slots`` fills a program many times. ``written`` finds what an expression can yield if all
its words are written in the template. ``positions`` finds the line of a node.
"""
