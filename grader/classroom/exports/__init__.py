"""Marks in the formats of the platforms that courses use; nobody has to convert a file by hand.

Marks are exact decimals everywhere: they were rounded down once, when they were given.
"""
