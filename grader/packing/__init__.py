"""A student's folder → a zip that holds what its scripts need and nothing else.

plan          which files, and why
write         the same files → the same bytes
pack          plan, write beside the goal, check, then put in place
"""

from grader.packing.pack import pack

__all__ = ["pack"]
