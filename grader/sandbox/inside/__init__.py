"""Programs that run apart from the grader, on either side of a sandbox's wall.

They use nothing but the standard library, and of that only what starts fast: two of them start for
every run of a student's code. `grader/sandbox/process.py` hands them over compiled.
"""
