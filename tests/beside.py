"""Real data that nobody here wrote, in a folder beside the project; tests of it are skipped where it is not there."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared" / "data"
needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the folder of real data beside the project is not here"
)
