"""What every test shares: where temporary things go, and how hypothesis draws.

Everything a test run writes goes below build/: hypothesis' examples, pytest's temporary folders, a subprocess's TMPDIR.
"""

import os
from pathlib import Path

BUILD = Path(__file__).resolve().parent.parent / "build"
TEMPORARY = BUILD / "tmp"
TEMPORARY.mkdir(parents=True, exist_ok=True)
os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(TEMPORARY))
os.environ.setdefault("TMPDIR", str(TEMPORARY))
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(BUILD / "hypothesis"))
os.environ.setdefault("PYTHONPYCACHEPREFIX", str(BUILD / "pycache"))  # for the processes that tests start

from hypothesis import HealthCheck, settings  # noqa: E402  (reads its storage folder from the environment set above)

# ci: the same examples on every run, so that a red build is a change and never luck. A shared machine is slow at
# times: no deadline per example, pytest's timeout bounds the test.
settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
# explore: new examples each time, many of them, for a developer's machine: HYPOTHESIS_PROFILE=explore make test
settings.register_profile("explore", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
