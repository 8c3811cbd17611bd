"""Where libraries come from: every pin has hashes, a bill and a licence; actions are pinned by commit."""

import json
import re
from pathlib import Path

import pytest

from tests.scripts import script

ROOT = Path(__file__).parent.parent


bill_of_materials = script("setup/bill_of_materials.py")
PINS = bill_of_materials.pins_in(ROOT / "requirements.lock")


def test_every_pin_has_hashes() -> None:
    text = (ROOT / "requirements.hashes").read_text(encoding="utf-8")
    # One entry: `name==version \` and then lines of `--hash=sha256:…`, all but the last with a `\`.
    entries = re.findall(
        r"^(\S+)==(\S+)((?: \\\n +--hash=sha256:[0-9a-f]{64})+)$", text, re.MULTILINE
    )
    assert [(name, version) for name, version, _ in entries] == PINS


def test_the_bill_of_materials_lists_every_pin_and_nothing_of_the_machine() -> None:
    text = (ROOT / "setup/sbom.cdx.json").read_text(encoding="utf-8")
    listed = set()
    for component in json.loads(text)["components"]:
        version = component["version"].split("+")[0]
        listed.add((normal(component["name"]), version))
    assert listed == {(normal(name), version) for name, version in PINS}
    assert "file://" not in text


def test_every_pin_has_a_licence() -> None:
    page = (ROOT / "docs/reference/licences.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\S+) \| (\S+) \| (.+) \|$", page, re.MULTILINE)
    listed = {(normal(name), version) for name, version, _ in rows}
    assert {(normal(name), version) for name, version in PINS} <= listed


@pytest.mark.parametrize(
    ("file", "kept"),
    [
        ("six-1.17.0-py2.py3-none-any.whl", True),
        ("six-1.17.0.tar.gz", True),
        ("six-1.17.1-py2.py3-none-any.whl", False),
        ("six-1.17.0-cp312-cp312-manylinux_2_28_x86_64.whl", True),
        ("six-1.17.0-cp39-abi3-macosx_11_0_arm64.whl", True),
        ("six-1.17.0-cp310-cp310-win_amd64.whl", False),
        ("six-1.17.0-cp314-cp314-win_amd64.whl", False),
        ("six-1.17.0-cp313-cp313t-win_amd64.whl", False),
        ("six-1.17.0-cp311-cp311-musllinux_1_2_x86_64.whl", False),
    ],
)
def test_files_that_may_be_installed(file: str, kept: bool) -> None:
    assert bill_of_materials.may_install(file, "six", "1.17.0") is kept


def test_a_name_is_written_in_several_ways() -> None:
    assert bill_of_materials.may_install("zc_lockfile-4.0-py3-none-any.whl", "zc.lockfile", "4.0")
    assert bill_of_materials.may_install("PyYAML-6.0.tar.gz", "pyyaml", "6.0")


def test_actions_are_pinned_by_commit() -> None:
    used = []
    for workflow in (ROOT / ".github/workflows").glob("*.yml"):
        used += re.findall(r"uses: (\S+)", workflow.read_text(encoding="utf-8"))
    assert used
    for action in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)


def normal(name: str) -> str:
    """The form of a library's name in which names are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
