"""The tests of Lostrómos."""
