"""The second labelled set has its form, and its score (docs/experiments/spans_peers.py) counts what it says."""

import hashlib
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from stages.clean.span import Span, apart
from tests.scripts import script

ROOT = Path(__file__).parent.parent
EXPERIMENTS = ROOT / "docs" / "experiments"
HALVES = ("open", "sealed")
Row = dict[str, Any]


sys.path.insert(0, str(EXPERIMENTS))
peers = script("docs/experiments/spans_peers.py")
workers = script("docs/experiments/spans_workers.py")


def label(text: str, part: str, normal: Any, kind: str = "date", **more: bool) -> Row:
    start = text.index(part)
    found = {"start": start, "end": start + len(part), "kind": kind, **more}
    return found if more.get("ambiguous") else found | {"normal": normal}


def sentence(text: str, *labels: Row) -> Row:
    return {"id": text, "task": "sentence", "lang": "en", "text": text, "spans": list(labels)}


def counted(row: Row, finds: list[Row], kind: str = "date") -> tuple[dict[str, int], list[str]]:
    counts, errors = peers.sentence_scores([row], {row["id"]: {"finds": finds}}, kind)
    count = counts.get("en", Counter())
    return {name: count[name] for name in ("labels", "found", "right")}, errors


@pytest.mark.parametrize("half", HALVES)
class TestLabels:
    def test_a_row_is_in_the_half_of_its_id(self, half: str) -> None:
        for row in peers.rows_of("second", half, None):
            assert HALVES[int(row["id"], 16) % 2] == half
            if row["task"] == "sentence":
                assert row["id"] == hashlib.sha256(row["text"].encode()).hexdigest()[:12]

    def test_every_label_has_its_form(self, half: str) -> None:
        day = r"\d{4}(-\d\d(-\d\d)?)?|--\d\d-\d\d"
        for row in peers.rows_of("second", half, None):
            for one in row.get("spans", []):
                assert 0 <= one["start"] < one["end"] <= len(row["text"])
                if one.get("ambiguous"):
                    assert "normal" not in one
                elif one["kind"] == "date":
                    assert re.fullmatch(rf"(?:{day})(?:/(?:{day}))?", one["normal"])
                    assert ("/" in one["normal"]) <= one.get("optional", False)
                else:
                    names = [name for name in one["normal"] if name != "unit"]
                    assert names in (["value"], ["low", "high"], ["value", "plus_minus"])
                    for name in names:
                        assert peers.spans.amount(one["normal"], name) is not None
            if row["task"] == "sentence":
                places = [Span(one["start"], one["end"], one["kind"], "") for one in row["spans"]]
                assert apart(places) == places
            elif row["task"] == "date" and row["expected"]:
                assert re.fullmatch(day, row["expected"])
            elif row["task"] == "quantity" and row["expected"]:
                unit = {"unit": peers.unit_name(row["wanted"])}
                for name in row["expected"]:
                    assert peers.spans.amount(row["expected"] | unit, name) is not None

    def test_the_readme_counts_them(self, half: str) -> None:
        rows = peers.rows_of("second", half, None)
        counts: Counter[str] = Counter()
        for row in rows:
            if row["task"] == "sentence":
                counts[row["lang"]] += 1
                for one in row["spans"]:
                    counts[one["kind"]] += not (one.get("ambiguous") or one.get("optional"))
            elif row.get("optional"):
                counts[f"{row['task']} optional"] += 1
            else:
                counts[f"{row['task']} {'aside' if row['expected'] is None else 'read'}"] += 1
        cells = [half]
        for name in ("en", "zh", "date", "quantity"):
            cells.append(str(counts[name]))
        for task in ("quantity", "date"):
            for what in ("read", "optional", "aside"):
                cells.append(str(counts[f"{task} {what}"]))
        text = (peers.spans.LABELS / "second" / "README.md").read_text(encoding="utf-8")
        assert f"| {' | '.join(cells)} |" in text


class TestScore:
    TEXT = "Open on 5 May 2012 and March 5-8, 2003, not 7/3/2024."
    RANGE = label(TEXT, "March 5-8, 2003", "2003-03-05/2003-03-08", optional=True)
    ROW = sentence(
        TEXT, label(TEXT, "5 May 2012", "2012-05-05"), RANGE, label(TEXT, "7/3/2024", "", ambiguous=True)
    )  # fmt: skip

    def test_right_wrong_missed_and_false(self) -> None:
        right = label(self.TEXT, "on 5 May 2012", "2012-05-05")
        assert counted(self.ROW, [right])[0] == {"labels": 1, "found": 1, "right": 1}
        wrong = label(self.TEXT, "May 2012", "2012-05")
        count, errors = counted(self.ROW, [wrong, label(self.TEXT, "Open", "2001")])
        assert count == {"labels": 1, "found": 2, "right": 0}
        assert errors == [
            f"date: wanted 2012-05-05, found ['2012-05'] in {self.TEXT!r}",
            f"date: wanted None, found ['2001'] in {self.TEXT!r}",
        ]
        assert counted(self.ROW, [])[0] == {"labels": 1, "found": 0, "right": 0}

    @pytest.mark.parametrize(
        ("normals", "found", "right"),
        [
            ([], 0, 0),
            (["2003-03-05/2003-03-08"], 1, 1),
            (["2003-03-05", "2003-03-08"], 1, 1),
            (["2003-03-05"], 1, 0),
            (["--03-05", "2003"], 2, 0),
        ],
    )
    def test_a_range_may_be_left_alone_but_not_broken(
        self, normals: list[str], found: int, right: int
    ) -> None:
        places = ["March 5", "8, 2003"]
        finds = [label(self.TEXT, "5 May 2012", "2012-05-05")]
        for place, normal in zip(places, normals, strict=False):
            finds.append(label(self.TEXT, place, normal))
        count, _ = counted(self.ROW, finds)
        assert count == {"labels": 1 + bool(normals), "found": 1 + found, "right": 1 + right}

    def test_what_is_ambiguous_does_not_count(self) -> None:
        find = label(self.TEXT, "7/3/2024", "2024-07-03")
        assert counted(self.ROW, [find])[0] == {"labels": 1, "found": 0, "right": 0}

    def test_quantities_are_compared_in_base_units(self) -> None:
        text = "Add 2000 mg."
        row = sentence(text, label(text, "2000 mg", {"value": "2000", "unit": "mg"}, "quantity"))
        for normal, right in (("2 g", 1), ({"value": "2", "unit": "gram"}, 1), ("2 kg", 0)):
            find = label(text, "2000 mg", normal, "quantity")
            assert counted(row, [find], "quantity")[0]["right"] == right


class TestFields:
    ROWS = (
        {"id": "a", "task": "quantity", "value": "9", "unit": "°F", "wanted": "delta °C", "expected": {"value": "5"}},
        {"id": "b", "task": "quantity", "value": "5", "unit": "mg", "wanted": "m", "expected": None},
        {"id": "c", "task": "quantity", "value": "12,5", "unit": "kg", "wanted": "g", "expected": {"value": "12500"}},
        {"id": "d", "task": "quantity", "value": "0,005", "unit": "g", "wanted": "g", "expected": {"value": "0.005"},
         "optional": True},
    )  # fmt: skip

    def scores(self, *read: Any) -> Counter[str]:
        found = dict(zip("abcd", [{"read": one} for one in read], strict=True))
        count, _ = peers.field_scores(list(self.ROWS), found, "quantity")
        return count

    def test_right_wrong_and_set_aside(self) -> None:
        kilograms = {"value": "12.5", "unit": "kg"}
        count = self.scores({"value": "9", "unit": "delta_degF"}, None, kilograms, None)
        assert count == Counter(labels=2, found=2, right=2, aside=1, kept=0)

    def test_a_unit_of_another_dimension_is_set_aside(self) -> None:
        grams = {"value": "5", "unit": "mg"}
        count = self.scores(
            {"value": "9", "unit": "degF"}, grams, None, {"value": "5", "unit": "g"}
        )
        assert count == Counter(labels=3, found=2, right=0, aside=1, kept=0)

    def test_what_is_to_be_set_aside_and_was_read(self) -> None:
        count = self.scores(None, {"value": "5", "unit": "cm"}, None, None)
        assert count == Counter(labels=2, found=1, right=0, aside=1, kept=1)


def test_a_library_reads_in_its_own_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import json, sys\n"
        "for line in sys.stdin:\n"
        "    row = json.loads(line)\n"
        "    print(json.dumps({'id': row['id'], 'read': sys.argv[1] + row['value']}))\n"
    )
    monkeypatch.setattr(peers, "WORKERS", worker)
    monkeypatch.setattr(peers, "environment", lambda folder, packages: sys.executable)
    rows = [{"id": "a", "value": "５ ℃"}]
    assert peers.readings("dateparser", rows, tmp_path) == {
        "a": {"id": "a", "read": "dateparser５ ℃"}
    }


def test_errors_of_the_sealed_half_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["spans_peers.py", "second", "sealed", "--errors", "project"])
    with pytest.raises(SystemExit, match="2"):
        peers.main()
    assert "--errors: the sealed half is there to be counted" in capsys.readouterr().err


def test_the_project_on_the_open_half(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["spans_peers.py", "second", "open", "--only", "project"])
    peers.main()
    lines = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    scores = {(cells[1], cells[2].strip()): cells for cells in lines}
    for what in (("date", "en"), ("date", "zh"), ("date fields", "")):
        cells = scores[what]
        assert float(cells[6]) >= 0.95, what
        assert float(cells[7]) >= 0.9, what
    assert scores["date fields", ""][8].startswith("0 of ")


def test_finds_that_overlap_are_used_once() -> None:
    finds = [workers.find(2, 9, "date", "b"), workers.find(0, 5, "date", "a")]
    finds.append(workers.find(3, 4, "quantity", "c"))
    assert [one["normal"] for one in workers.apart(finds)] == ["a", "c"]
    assert workers.only(finds, "quantity") == "c"
    assert workers.only(finds, "date") is None
    assert workers.field_text({"value": "5", "unit": None}) == "5"
