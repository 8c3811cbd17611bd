"""The READMEs and pages are true: numbers are those of metrics/evaluate.json, links lead somewhere, translations give the
same commands, and the tour reads a page as a reader would."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.scripts import script

ROOT = Path(__file__).parent.parent


results, tour = script("docs/results.py"), script("docs/tour.py")

# A link of Markdown to a file of the project: `[jobs](docs/jobs.md#forget)` gives ("docs/jobs.md", "#forget").
LINK = re.compile(r"\]\((?!https?://)(?P<path>[^)#\s]*)(?P<anchor>#[^)\s]+)?\)")
# A block of code, in which nothing is a link or a heading.
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def pages_of(entries: list[Any]) -> list[str]:
    """The pages that the navigation of mkdocs.yml names, from nested lists of titles and paths."""
    pages: list[str] = []
    for entry in entries:
        value = entry if isinstance(entry, str) else next(iter(entry.values()))
        if isinstance(value, str):
            pages.append(value)
        else:
            pages += pages_of(value)
    return pages


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as MkDocs makes them: `## What runs, and why` gives `#what-runs-and-why`."""
    found: set[str] = set()
    for line in FENCE.sub("", text).splitlines():
        if line.startswith("#"):
            title = re.sub(r"[^\w\s-]", "", line.lstrip("#")).strip().lower()
            found.add("#" + re.sub(r"[\s-]+", "-", title))
    return found


def broken_links(path: Path) -> list[str]:
    """The links of a page that lead to no file, or to no heading of a page."""
    broken: list[str] = []
    for link in LINK.finditer(FENCE.sub("", text_of(path))):
        target = path.parent / link["path"] if link["path"] else path
        if not target.exists():
            broken.append(link.group())
            continue
        anchor = link["anchor"]
        if anchor and anchor not in anchors(text_of(target)):
            broken.append(link.group())
    return broken


SITE = pages_of(YAML(typ="safe").load(text_of(ROOT / "mkdocs.yml"))["nav"])
PAGES = [
    "README.md",
    *results.READMES[1:],
    "scenarios/README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "AGENTS.md",
    "llms.txt",
    *(f"docs/{page}" for page in SITE),
]
TRANSLATIONS = [("README.md", "README.zh-CN.md")]
for chinese_page in sorted((ROOT / "docs/zh").glob("*.md")):
    TRANSLATIONS.append((f"docs/{chinese_page.name}", f"docs/zh/{chinese_page.name}"))


RENEW = "run python docs/results.py"


@pytest.fixture
def report() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text_of(ROOT / "metrics/evaluate.json"))
    return found


@pytest.mark.parametrize("name", results.READMES)
def test_the_table_of_results_is_true(name: str, report: dict[str, Any]) -> None:
    readme = text_of(ROOT / name)
    assert results.with_results(readme, report) == readme, "run python docs/results.py"


def test_another_number_is_noticed(report: dict[str, Any]) -> None:
    readme = text_of(ROOT / "README.md")
    report["train"]["tasks"]["completion"]["value"] += 0.001
    assert results.with_results(readme, report) != readme


def test_a_variant_without_a_row_is_noticed(report: dict[str, Any]) -> None:
    with pytest.raises(LookupError, match="no row for train"):
        results.with_results("| base | 0 |\n", report)


@pytest.mark.parametrize("name", results.READMES)
def test_the_sides_of_the_facts_are_true(name: str) -> None:
    readme = text_of(ROOT / name)
    assert results.with_sides(readme, results.retrieval_report()) == readme, RENEW


def test_the_ways_to_answer_are_true() -> None:
    page = text_of(ROOT / results.RETRIEVAL_PAGE)
    assert results.with_ways(page, results.retrieval_report()) == page, RENEW


def test_another_share_of_a_side_is_written_and_noticed() -> None:
    score = {"value": 0.25, "low": 0.2, "high": 0.3}
    for name in results.READMES:
        readme = results.with_sides(text_of(ROOT / name), {"sides": {"index only": score}})
        row = next(line for line in readme.splitlines() if line.startswith("| index only"))
        assert row.endswith("| 0.250 [0.200, 0.300] |")
    with pytest.raises(LookupError, match="no row for index only"):
        results.with_sides("| both | – |\n", {"sides": {"index only": score}})


def test_every_way_to_answer_has_its_row() -> None:
    score = {"value": 0.25, "low": 0.2, "high": 0.3}
    entry = {"facts": score, "wordings": score, "reversed": None, "comparison": score}
    ways = ("train", "index", "index, else train")
    report = dict.fromkeys(ways, entry) | {"read": {"retrieve": entry}}
    page = results.with_ways(text_of(ROOT / results.RETRIEVAL_PAGE), report)
    cell = "0.250 [0.200, 0.300]"
    assert f"| `index` (records alone) | {cell} | {cell} | – | {cell} |" in page
    assert f"| `retrieve` (base that reads the record) | {cell} | {cell} | – | – |" in page


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    assert broken_links(ROOT / name) == []


def test_a_broken_link_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One, two\n[a](page.md#one-two) [b](gone.md) [c](#three) [d](https://example.org/x)\n",
        encoding="utf-8",
    )
    assert broken_links(page) == ["](gone.md)", "](#three)"]


def test_every_page_is_in_the_navigation() -> None:
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert pages == set(SITE)


def test_the_tour_takes_commands_apart_as_a_reader_would() -> None:
    text = (
        "```sh\nmake   # sets up\nlore ask \"a # b\"     # exits with 3\n```\n\n```text\nyes ...\n```\n"
        "<!-- not in the tour -->\n```sh\ndvc push\n```\n```sh\npython -c \"\nprint(1)\"\n```\n"
    )  # fmt: skip
    steps = list(tour.steps_of(text, "docs/jobs.md"))
    assert [(step.page, step.line, step.command, step.code, step.shown) for step in steps] == [
        ("docs/jobs.md", 2, "make", 0, None),
        ("docs/jobs.md", 3, 'lore ask "a # b"', 3, "yes ...\n"),
        ("docs/jobs.md", 14, 'python -c "\nprint(1)"', 0, None),
    ]


@pytest.mark.parametrize(
    ("printed", "agrees"), [("yes, 5  \n", True), ("no\n", False), ("yes\nmore", False)]
)
def test_the_tour_compares_what_is_printed(printed: str, agrees: bool) -> None:
    assert tour.same("yes, ...\n", printed) == agrees


@pytest.mark.parametrize("page", tour.PAGES)
def test_the_tour_has_commands_on_every_page(page: str) -> None:
    assert len(list(tour.steps_of(text_of(ROOT / page), page))) > 5


@pytest.mark.parametrize(("english", "chinese"), TRANSLATIONS)
def test_both_languages_give_the_same_commands(english: str, chinese: str) -> None:
    steps = [
        (step.command, step.code, step.shown) for step in tour.steps_of(text_of(ROOT / english))
    ]
    assert [
        (step.command, step.code, step.shown) for step in tour.steps_of(text_of(ROOT / chinese))
    ] == steps
