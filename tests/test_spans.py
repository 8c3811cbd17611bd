"""The score of dates and quantities (docs/experiments/spans.py) counts what it says, and its labels fit the real data."""

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.clean.span import Span, apart
from tests.beside import SHARED, needs_shared
from tests.scripts import script

ROOT = Path(__file__).parent.parent
HALVES = ("tuning", "sealed")


spans = script("docs/experiments/spans.py")
NUMBERS = st.decimals(-1000, 1000, places=2).map(str)


def rows_of(half: str) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for line in (spans.LABELS / f"{half}.jsonl").read_text(encoding="utf-8").splitlines()
    ]


def label(text: str, part: str, normal: Any, kind: str = "quantity") -> dict[str, Any]:
    start = text.index(part)
    unclear = {"ambiguous": True} if normal is None else {"normal": normal}
    return {"start": start, "end": start + len(part), "kind": kind} | unclear


def find(text: str, part: str, normal: str, kind: str = "quantity") -> Span:
    return Span(text.index(part), text.index(part) + len(part), kind, normal)


def counts(
    text: str, labels: list[dict[str, Any]], found: list[Span], kind: str = "quantity"
) -> tuple[Counter[str], list[str]]:
    row = {"file": "a.xml", "at": "0:0-9", "lang": "en", "spans": labels}
    scores, errors = spans.score([(text, row)], lambda *_: found, kind)
    return scores["en"], errors


class TestScore:
    TEXT = "In 2003 he took 5 mg for 3 weeks, and 12 pills at 11/05/08."
    LABELS = [  # noqa: RUF012 - read only
        label(TEXT, "2003", "2003", "date"), label(TEXT, "11/05/08", None, "date"),
        label(TEXT, "5 mg", {"value": "5", "unit": "mg"}), label(TEXT, "3 weeks", {"value": "3", "unit": "week"}),
    ]  # fmt: skip

    def test_right_wrong_missed_and_false(self) -> None:
        found = [
            find(self.TEXT, "5 mg", "5 g"),
            find(self.TEXT, "12 pills", "12 pill"),
            find(self.TEXT, "2003", "2003", "date"),
        ]
        count, errors = counts(self.TEXT, self.LABELS, found)
        assert count == Counter(labels=2, found=2, placed=1, right=0)
        assert [error.split("; in …")[0] for error in errors] == [
            "a.xml 0:0-9; wanted '5 mg' = {'value': '5', 'unit': 'mg'}; found '5 mg' = 5 g",
            "a.xml 0:0-9; wanted '3 weeks' = {'value': '3', 'unit': 'week'}",
            "a.xml 0:0-9; found '12 pills' = 12 pill",
        ]

    def test_white_space_at_the_ends_does_not_matter_other_characters_do(self) -> None:
        for part, right in ((" 5 mg ", 1), ("5 mg", 1), ("5 m", 0), ("k 5 mg", 0)):
            assert (
                counts(self.TEXT, self.LABELS, [find(self.TEXT, part, "5 mg")])[0]["right"] == right
            )

    def test_what_is_ambiguous_does_not_count(self) -> None:
        for part in ("11/05/08", "11/05", "at 11/05/08."):
            found = [
                find(self.TEXT, part, "2008-11-05", "date"),
                find(self.TEXT, "2003", "2003", "date"),
            ]
            assert counts(self.TEXT, self.LABELS, found, "date")[0] == Counter(
                labels=1, found=1, placed=1, right=1
            )

    def test_ambiguous_for_one_kind_is_not_for_the_other(self) -> None:
        assert (
            counts(self.TEXT, self.LABELS, [find(self.TEXT, "11/05/08", "11 day")])[0]["found"] == 1
        )

    def test_a_date_is_compared_as_text(self) -> None:
        for normal, right in (("2003", 1), ("2003-01", 0)):
            assert (
                counts(self.TEXT, self.LABELS, [find(self.TEXT, "2003", normal, "date")], "date")[
                    0
                ]["right"]
                == right
            )

    def test_table(self) -> None:
        scores = {
            "date": {
                "en": Counter(labels=4, found=2, right=1, placed=2),
                "zh": Counter(labels=0, found=0),
            }
        }
        assert spans.table(scores)[2:] == [
            "| date | en | 4 | 2 | 0.500 | 0.250 | 0.333 | 1.000 | 0.500 | 0.667 |",
            "| date | zh | 0 | 0 | – | – | – | – | – | – |",
            "| date | both | 4 | 2 | 0.500 | 0.250 | 0.333 | 1.000 | 0.500 | 0.667 |",
        ]


class TestValues:
    @pytest.mark.parametrize(
        ("normal", "wanted", "same"),
        [
            ("5000 mg", {"value": "5", "unit": "g"}, True),
            ("0.05", {"value": "5", "unit": "percent"}, False),
            ("14 day", {"value": "2", "unit": "week"}, True),
            ("5 g", {"value": "5", "unit": "m"}, False),
            ("5.00000001 g", {"value": "5", "unit": "g"}, False),
            ("303.15 K", {"value": "30", "unit": "degC"}, True),
            ("0.5–1 g", {"low": "500", "high": "1000", "unit": "mg"}, True),
            ("0.5 g", {"low": "500", "high": "1000", "unit": "mg"}, False),
            ("500 ± 1000 mg", {"low": "500", "high": "1000", "unit": "mg"}, False),
            ("1.2 ± 0.1 g", {"value": "1200", "plus_minus": "100", "unit": "mg"}, True),
            ("30 ± 2 degC", {"value": "303.15", "plus_minus": "2", "unit": "K"}, True),
            ("30 ± 1 degC", {"value": "303.15", "plus_minus": "2", "unit": "K"}, False),
            ("200 IU", {"value": "200", "unit": "IU"}, True),
            ("2000 IU/L", {"value": "2", "unit": "IU/mL"}, True),
            ("200 IU", {"value": "200", "unit": "U"}, False),
            ("20 kb", {"value": "20", "unit": "kb"}, True),
            ("2 jin", {"value": "1", "unit": "kg"}, True),
            ("2 ((", {"value": "2", "unit": "kg"}, False),
            ("about five", {"value": "5", "unit": "kg"}, False),
        ],
    )
    def test_same(self, normal: str, wanted: dict[str, str], same: bool) -> None:
        assert (
            spans.same_value(Span(0, 1, "quantity", normal), {"kind": "quantity", "normal": wanted})
            is same
        )

    @given(NUMBERS, NUMBERS, st.sampled_from(["kg", "mg/dL", "1/m", "km ** 2"]))
    def test_every_form_is_read(self, first: str, second: str, unit: str) -> None:
        assert spans.quantity(f"{first} {unit}") == {"value": first, "unit": unit}
        assert spans.quantity(f"{first}–{second} {unit}") == {
            "low": first,
            "high": second,
            "unit": unit,
        }
        assert spans.quantity(f"{first} ± {second} {unit}") == {
            "value": first,
            "plus_minus": second,
            "unit": unit,
        }


@pytest.mark.parametrize("half", HALVES)
class TestLabels:
    def test_every_label_has_its_form(self, half: str) -> None:
        for row in rows_of(half):
            start, end = (int(part) for part in row["at"].partition(":")[2].split("-"))
            assert all(0 <= one["start"] < one["end"] <= end - start for one in row["spans"])
            places = [Span(one["start"], one["end"], one["kind"], "") for one in row["spans"]]
            assert apart(places) == places
            for one in row["spans"]:
                if one.get("ambiguous"):
                    assert "normal" not in one
                elif one["kind"] == "date":
                    assert re.fullmatch(r"\d{4}(-\d\d(-\d\d)?)?|--\d\d-\d\d", one["normal"])
                else:
                    parts = one["normal"]
                    assert set(parts) in (
                        {"value", "unit"},
                        {"low", "high", "unit"},
                        {"value", "plus_minus", "unit"},
                    )
                    assert all(
                        spans.amount(parts, name) is not None for name in parts if name != "unit"
                    )

    def test_the_readme_counts_them(self, half: str) -> None:
        text = (spans.LABELS / "README.md").read_text(encoding="utf-8")
        for lang in ("en", "zh"):
            rows = [row for row in rows_of(half) if row["lang"] == lang]
            found = Counter(
                (one["kind"], one.get("ambiguous", False)) for row in rows for one in row["spans"]
            )
            numbers = [len(rows), sum(not row["spans"] for row in rows)]
            numbers += [
                found[kind, unclear] for kind in ("date", "quantity") for unclear in (False, True)
            ]
            assert f"| {half} | {lang} | {' | '.join(str(number) for number in numbers)} |" in text

    @needs_shared
    def test_every_sentence_is_found(self, half: str) -> None:
        found = spans.load(SHARED, half)
        assert len(found) == len(rows_of(half))
        assert all(text == text.strip() for text, _ in found)


@needs_shared
def test_the_draw_can_be_repeated() -> None:
    drawn = spans.draw(SHARED)
    assert list(drawn) == list(HALVES)
    for half, rows in drawn.items():
        assert [row | {"spans": []} for row in rows_of(half)] == rows
    assert not {row["sha256"] for row in drawn["tuning"]} & {
        row["sha256"] for row in drawn["sealed"]
    }


def test_other_data_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "web_noise_c4").mkdir()
    (tmp_path / "web_noise_c4/c4.jsonl").write_text(
        '{"text": "It took 20 min."}\n', encoding="utf-8"
    )
    row = {
        "file": "web_noise_c4/c4.jsonl",
        "at": "0:0-15",
        "sha256": spans.digest("It took 20 min."),
        "lang": "en",
        "spans": [],
    }
    monkeypatch.setattr(spans, "LABELS", tmp_path)
    (tmp_path / "tuning.jsonl").write_text(json.dumps(row), encoding="utf-8")
    assert spans.load(tmp_path, "tuning") == [("It took 20 min.", row)]
    (tmp_path / "tuning.jsonl").write_text(json.dumps(row | {"at": "0:0-14"}), encoding="utf-8")
    with pytest.raises(
        ValueError,
        match=re.escape("web_noise_c4/c4.jsonl at 0:0-14: another sentence than the one labelled"),
    ):
        spans.load(tmp_path, "tuning")


def test_errors_of_the_sealed_half_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["spans.py", "data", "sealed", "--errors"])
    with pytest.raises(SystemExit, match="2"):
        spans.main()
    assert "--errors: the sealed half stays sealed" in capsys.readouterr().err


@needs_shared
def test_a_toy_recogniser(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def percents(text: str, _: str) -> list[Span]:
        return [
            Span(*match.span(), "quantity", f"{match[1]} percent")
            for match in re.finditer(r"(\d+(?:\.\d+)?)%", text)
        ]

    monkeypatch.setattr(spans, "recognisers", lambda: {"quantity": percents})
    monkeypatch.setattr(sys, "argv", ["spans.py", str(SHARED), "tuning", "--errors"])
    spans.main()
    said = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[1] for line in said[2:5]] == ["en", "zh", "both"]
    assert any("; wanted " in line and "; found " not in line for line in said[6:])
    *_, both = (line.split(" | ") for line in said[2:5])
    labels, found, precision, recall = int(both[2]), int(both[3]), float(both[4]), float(both[5])
    assert 0 < found < labels
    assert 0.8 < precision <= 1
    assert 0.2 < recall < 0.6
