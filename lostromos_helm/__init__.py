"""The Helm back end. It registers no applier yet: releases come in a later version.

Installing it makes ``lostromos plugins`` list it, honestly empty-handed.
"""
