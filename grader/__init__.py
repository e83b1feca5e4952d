"""Grade deep-learning vision assignments: a zip goes in, marks and their evidence come out."""

__version__ = "0.1.0"
