"""Keep the objects of releases as Helm applied them.

``contents`` reads what a release contains, using ``manifest``. ``watched_objects`` watches these objects, ``drift``
compares them, and ``repair`` restores them. ``removal`` uninstalls a release; ``leftovers`` deletes objects whose
release is gone.
"""
