"""Languages of records: Chinese by its characters, others by the model, `und` where nothing is clear."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.clean.values.rewriting import Params, rewritten
from stages.core.project.errors import ParamsError
from stages.extract.language import LONGEST, UNDETERMINED, detected, known
from tests.beside import SHARED, needs_shared
from tests.stages.extract.test_extract import run, source

ENGLISH = "The patient was admitted with fever and a dry cough."


@pytest.mark.parametrize(
    ("text", "langs", "lang"),
    [
        (ENGLISH, None, "en"),
        ("Der Patient wurde mit Fieber und trockenem Husten aufgenommen.", None, "de"),
        ("El paciente ingresó con fiebre y tos seca.", None, "es"),
        ("Пациент поступил с лихорадкой и сухим кашлем.", None, "ru"),
        ("患者因发热和干咳入院。", None, "zh"),
        ("患者は発熱と乾性咳嗽で入院した。", None, "ja"),
        ("환자는 발열과 마른 기침으로 입원했다.", None, "ko"),
        ("无", ("en", "zh"), "zh"),
        ("服用 aspirin 和 clopidogrel 的患者", ("en", "zh"), "zh"),
        ("The drug 阿司匹林 is given once a day to all patients", ("en", "zh"), "en"),
        ("What is (are) Endocarditis ?", ("en", "zh"), "en"),
        ("Pneumonia", ("en", "zh"), "en"),
        ("Hello", None, "und"),
    ],
)
def test_language_of_a_text(text: str, langs: tuple[str, ...] | None, lang: str) -> None:
    assert detected(text, langs) == lang


@pytest.mark.parametrize(
    ("text", "langs"),
    [
        ("", None),
        ("12.5 — 37 °C", None),
        ("pH 7", ("en", "zh")),
        ("Der Patient wurde mit Fieber und trockenem Husten aufgenommen.", ("en", "zh")),
        ("Пациент поступил с лихорадкой и сухим кашлем.", ("en", "zh")),
        ("患者は発熱と乾性咳嗽で入院した。", ("en", "zh")),
        ("患者因发热和干咳入院。", ("en", "de")),
        (ENGLISH, ("zh", "ja")),
    ],
)
def test_what_is_not_clear_or_not_declared_is_undetermined(
    text: str, langs: tuple[str, ...] | None
) -> None:
    assert detected(text, langs) == UNDETERMINED


@given(st.text(max_size=80), st.sampled_from([None, ("en",), ("en", "zh"), ("ja", "de")]))
def test_any_text_has_a_language_that_was_declared_or_none(
    text: str, langs: tuple[str, ...] | None
) -> None:
    found = detected(text, langs)
    assert found == detected(text, langs)
    assert found in {UNDETERMINED, *(langs or known())}


def test_only_the_start_of_a_long_text_counts() -> None:
    start = (ENGLISH + " ") * (LONGEST // len(ENGLISH))
    assert detected(start.ljust(LONGEST) + "患者因发热和干咳入院。" * 1000, ("en", "zh")) == "en"


def lines(path: Path, *rows: dict[str, Any]) -> None:
    path.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )


def test_each_record_has_its_own_language(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines(
        tmp_path / "a.jsonl",
        {"text": ENGLISH}, {"text": "患者因发热和干咳入院。"}, {"text": "42"}, {"q": "发热怎么办？", "a": "多喝水。"}, {},
    )  # fmt: skip
    mapping = {"text": "text", "question": "q", "answer": "a"}
    rows, rejected, report = run(
        tmp_path, source("jsonl", "a.jsonl", lang="auto", langs=["en", "zh"], map=mapping)
    )
    assert [row["lang"] for row in rows] == ["en", "zh", "und", "zh"]
    assert rejected[0]["lang"] == "und"
    assert report[0]["languages"] == {"en": 1, "und": 1, "zh": 2}
    assert "  en 1, und 1, zh 2\n" in capsys.readouterr().out


def test_a_declared_language_is_taken_as_it_is(tmp_path: Path) -> None:
    lines(tmp_path / "a.jsonl", {"text": ENGLISH})
    rows, _, report = run(tmp_path, source("jsonl", "a.jsonl", lang="fr", map={"text": "text"}))
    assert rows[0]["lang"] == "fr"
    assert "languages" not in report[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"langs": ["en"]},
            "extract.sources.0.langs: only with `lang: auto`; remove it, or write lang: auto",
        ),
        (
            {"lang": "auto", "langs": []},
            "langs: empty; name the languages that may occur, or leave it out",
        ),
        (
            {"lang": "auto", "langs": ["en", "english"]},
            "langs: 'english' is no language that can be found; write codes of ISO 639-1, such as [en, zh]",
        ),
        (
            {"lang": "auto", "kind": "pages", "line": ".", "engine": "tesseract"},
            "lang: tesseract must be told the language; name it, or set engine: rapidocr",
        ),
        (
            {"lang": "auto", "kind": "audio"},
            "lang: auto is for what is written; name the language that is spoken",
        ),
    ],
)
def test_settings_that_do_not_go_together(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    (tmp_path / "a").write_text("{}")
    with pytest.raises(ParamsError, match=re.escape(message)):
        run(
            tmp_path,
            {"kind": "jsonl", "name": "toy", "path": "a", "lang": "en", "map": {"text": "text"}}
            | settings,
        )


def test_an_encoding_is_found_where_the_language_is_not_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(
        "text\n患者因发热和干咳入院，既往体健，无药物过敏史。\n".encode("gb18030")
    )
    rows, _, report = run(
        tmp_path, source("csv", "a.csv", lang="auto", encoding="auto", map={"text": "text"})
    )
    assert (rows[0]["lang"], report[0]["encodings"]) == ("zh", {"gb18030": 1})


def test_clean_reads_dates_and_quantities_of_an_unknown_language_as_in_english() -> None:
    text, params = "Given on 7 March 2019: 0.5 g.", Params(dates=True, units=["mg"])
    assert rewritten(text, "und", params, 4, True) == rewritten(text, "en", params, 4, True)
    assert rewritten(text, "und", params, 4, True)[0] == "Given on 2019-03-07: 500 mg."


@needs_shared
def test_real_texts_are_in_the_language_that_their_source_declares() -> None:
    with (SHARED / "zh_medical_dialogue/internal_medicine_gbk.csv").open(
        encoding="gb18030", newline=""
    ) as file:
        assert {detected(row["answer"], None) for row in csv.DictReader(file)} == {"zh"}
    web = (SHARED / "web_noise_c4/c4.jsonl").read_bytes().splitlines()
    assert {detected(json.loads(line)["text"], None) for line in web} == {"en"}
