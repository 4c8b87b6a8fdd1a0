"""The seed of a run: chance at a desk and in the long form; in CI always the same, so that a red run is of the change."""

import os
import time
from functools import cache

SOAK = os.environ.get("RADGATE_SOAK") == "1"
IN_CI = "1"


@cache
def seed() -> str:
    """RADGATE_SEED, which repeats a run, or what is said above."""
    given = os.environ.get("RADGATE_SEED")
    if given:
        return given
    return IN_CI if os.environ.get("CI") == "true" and not SOAK else str(time.time_ns() % 1_000_000)
