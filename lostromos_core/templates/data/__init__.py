"""Hold the values that cross a template.

``values`` checks what an expression yields, ``tokens`` stand for values while a template is still text, and
``marked`` are values that are more than data. ``budget`` bounds what a rendering may use, ``turns`` moves long
renderings out of the event loop, and ``memo`` is a cache bounded in bytes.
"""
