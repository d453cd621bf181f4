"""Tests of the project itself: what it is made and tested with, rather than what it does."""
