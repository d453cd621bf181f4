"""Turn text with tokens into plain data.

``lexer`` turns template source into Jinja2's tokens. ``compiler`` parses the text that Jinja2 made, with places for
values, into a ``program``; ``blocks`` does so faster for common text, ``fragments`` indents macros, and ``splices``
merges values among keys and items. ``slots`` fills the program again and again. ``written`` finds what an expression
can yield if all its words stand in the template. ``positions`` finds the line of a node.
"""
