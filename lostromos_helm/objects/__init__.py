"""Keep the objects of releases as Helm applied them.

``contents`` says what a release consists of, from its ``manifest``. ``watched_objects`` watches these objects,
``drift`` compares them, and ``repair`` restores them. ``removal`` uninstalls a release; ``leftovers`` finds objects
whose release is gone.
"""
