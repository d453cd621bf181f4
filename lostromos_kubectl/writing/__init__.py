"""Write objects until each has a final result.

``writer`` runs each object through the same steps, by the ``rules`` of the controller; ``sending`` is the interface to
the two ways of sending it. ``taking`` picks up objects that exist already. ``takeover`` corrects what an apply alone
would leave behind, by moving fields between managers (``ownership``) and finding the items that replaced ours
(``places``). ``recreation`` decides whether an immutable object may be recreated.
"""
