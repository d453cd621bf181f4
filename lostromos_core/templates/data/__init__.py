"""Hold the values that pass through a template.

``values`` checks what an expression yields, ``tokens`` represent values while a template is still text, and ``marked``
are values that are more than data. ``budget`` limits what a rendering may use, ``turns`` moves long renderings out of
the event loop, and ``memo`` is a cache bounded in bytes.
"""
