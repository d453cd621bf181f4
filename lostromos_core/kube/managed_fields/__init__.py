"""Work with ``managedFields``: which field manager owns which field.

``field_sets`` adds and subtracts sets of fields; ``fields`` compares the fields that a manager owns with the desired
ones; ``owned_fields`` extracts the part of an object that a manager owns. ``last_applied`` records the last applied
fields on the object. ``applying`` sends every server-side apply; ``outdated`` applies to objects whose entries name a
version that is no longer served. ``contention`` slows repairs down while another manager changes the same fields.
"""
