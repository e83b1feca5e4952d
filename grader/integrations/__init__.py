"""Courses' platforms: the files that they want, and how a submission reaches the grader there."""
