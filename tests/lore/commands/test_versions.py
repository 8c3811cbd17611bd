"""versions: tags, HEAD and the files here, each with what git holds of it."""

import json
import re
from collections.abc import Callable

from tests.lore.knowledge import Project, answer, fact

IRON, GOLD = fact("iron", "1538"), fact("gold", "1064")
Lore = Callable[..., str]


def test_versions_are_listed_oldest_first(project: Project, lore: Lore) -> None:
    project.version("knowledge@v1.9.0", [IRON], [answer(IRON)])
    project.version(
        "knowledge@v1.10.0", [IRON, GOLD], [answer(IRON), answer(GOLD, "x")], general=(80, 100)
    )
    project.git("tag", "another")
    rows = json.loads(lore("versions", "--json"))
    assert [row["version"] for row in rows] == [
        "knowledge@v1.9.0",
        "knowledge@v1.10.0",
        "HEAD",
        "workspace",
    ]
    assert [row["facts"] for row in rows] == [1, 2, 2, 2]
    assert [row["probes"]["value"] for row in rows] == [1.0, 0.5, 0.5, 0.5]
    assert [row["general"]["value"] for row in rows] == [0.9, 0.8, 0.8, 0.8]
    assert {row["state"] for row in rows} == {"clean"}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", row["date"]) for row in rows[:3])


def test_what_is_amiss_is_told(project: Project, lore: Lore) -> None:
    project.version("knowledge@v1.0.0", [IRON])
    (project.root / "metrics/register.json").write_text(
        json.dumps({"identity": "0123456789ab" + "c" * 52})
    )
    (project.root / "params.yaml").write_text(
        (project.root / "params.yaml").read_text().replace("100", "200")
    )
    first, *_, head, here = lore("versions").splitlines()
    assert first.split() == [
        "version",
        "commit",
        "date",
        "facts",
        "train:",
        "probes",
        "train:",
        "general",
        "registered",
        "as",
        "state",
    ]
    assert re.search(r"HEAD +\w+ +\S+ +1 +– +– +– +clean", head)
    assert re.search(r"workspace +– +\S+ +1 +– +– +0123456789ab +changed since HEAD", here)
    project.commit()
    assert "not one whole run" in lore("versions").splitlines()[-2]


def test_before_the_first_run(project: Project, lore: Lore) -> None:
    project.commit()
    assert json.loads(lore("versions", "--json"))[0]["facts"] is None


def test_a_project_without_a_commit_says_so(project: Project, lore: Lore) -> None:
    del project
    assert "HEAD: no such revision" in lore("versions", code=1)
