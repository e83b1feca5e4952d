"""What holds for every test: property-based tests are never judged by the clock.

In continuous integration they try the same examples each time: a change is judged by what it
changes. Elsewhere each run tries others, and what they find becomes an `@example`.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "grader",
    deadline=None,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.load_profile("grader")
