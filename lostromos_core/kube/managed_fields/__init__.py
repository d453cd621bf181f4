"""Work with ``managedFields``: which field manager owns which field.

``field_sets`` adds and subtracts sets of fields; ``fields`` compares what a manager owns with what we want;
``owned_fields`` reads the part of an object that a manager owns. ``last_applied`` writes the fields that were applied
last on the object. ``outdated`` applies to objects whose entries name a version that is no longer served.
``contention`` slows repairs down while another manager changes the same fields.
"""
