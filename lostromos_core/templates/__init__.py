"""Templates: prepared statements for YAML, in which no data can become structure.

The only rooms that know Jinja2 and YAML text. ``slots`` is the door: text with places for values goes in, plain
data comes out; ``renderer`` makes a Renderer of it.
"""
