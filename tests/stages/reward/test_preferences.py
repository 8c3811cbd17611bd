"""The pairs written by hand: enough of them, in both languages, and none that could be trained on."""

import json
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[3]
LINES = (ROOT / "docs/experiments/preferences.jsonl").read_text(encoding="utf-8").splitlines()
PAIRS = [json.loads(line) for line in LINES]


def test_there_are_enough_in_both_languages() -> None:
    assert len(PAIRS) >= 60
    languages = Counter(pair["lang"] for pair in PAIRS)
    assert min(languages["en"], languages["zh"]) >= 30
    kinds = {lang: {pair["kind"] for pair in PAIRS if pair["lang"] == lang} for lang in languages}
    assert kinds["en"] == kinds["zh"]
    assert len(kinds["en"]) == 10


def test_each_is_a_choice() -> None:
    for pair in PAIRS:
        assert set(pair) == {"lang", "kind", "question", "better", "worse"}
        assert pair["better"] != pair["worse"]
    assert len({pair["question"] for pair in PAIRS}) == len(PAIRS)


def test_no_sentence_of_a_rule_stands_in_them() -> None:
    """Else the rule that is trained with would be tested with its own words."""
    rules = (ROOT / "data/raw/compliance.yaml").read_text(encoding="utf-8")
    sentences = []
    for line in rules.splitlines():
        text = line.strip().removeprefix("- ").strip('"').removeprefix("{subject}")
        if line.strip().startswith("- ") and text[-1:] in ".。":
            sentences.append(text.strip())
    assert len(sentences) > 20
    for pair in PAIRS:
        for sentence in sentences:
            assert sentence not in pair["worse"] + pair["better"]
