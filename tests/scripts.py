"""Scripts of the project that are in no package, such as those of docs/, as modules."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parent.parent


def script(path: str) -> ModuleType:
    """Load a script. `path` is relative to the project's root: `docs/results.py`."""
    place = ROOT / path
    spec = importlib.util.spec_from_file_location(place.stem, place)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[place.stem] = module  # where dataclasses look it up
    spec.loader.exec_module(module)
    return module
