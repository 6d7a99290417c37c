"""How Hypothesis works here: without deadlines (machines differ), and in CI with the same examples every time."""

import os

from hypothesis import settings

settings.register_profile("laptop", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, database=None, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "laptop")
