"""target: words are found whole, entries are the smallest that cover a name, forms on the command line hold no content."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lore.erasure.target import Target, VersionRecords, contains, entries_of, target_of
from stages.clean.exclusions import subject_id
from stages.core.project.errors import InputError
from tests.lore.commands.test_trace import GOLD, IRON, REMARK

Row = dict[str, Any]
TEXT = REMARK | {
    "id": "e" * 16,
    "subject": None,
    "text": "The foundry melts iron at 1538 degrees.",
}


def records(*rows: Row, training: tuple[Row, ...] = ()) -> VersionRecords:
    """The records of a version that nothing else is asked of."""
    version: Any = None
    return VersionRecords(version, list(rows), list(training))


@given(st.from_regex(r"[a-z]{1,6}|-?[0-9]{1,4}(\.[0-9])?", fullmatch=True), st.sampled_from("a7"))
def test_a_word_stands_whole_or_not_at_all(word: str, sign: str) -> None:
    assert contains(f"({word}), so", word)
    assert contains(f"铁{word}度", word)
    assert not contains(f"({sign}{word})", word)
    assert not contains(f"({word}{sign})", word)
    assert not contains("", word)


def test_a_passage_states_a_target_where_all_words_of_one_statement_stand() -> None:
    words = {"iron": [("1538",), ("1649", "kelvin")], "neon": [()]}
    target = Target("x", {}, {}, {}, {}, [], words)
    assert target.stated_in("IRON: 1538")
    assert target.stated_in("1649 kelvin, iron")
    assert target.stated_in("Neon.")
    assert not target.stated_in("iron, 1649 °C")
    assert not target.stated_in("irony 1538")
    assert not target.stated_in("1538 and 1649 kelvin")


def test_a_beginning_of_several_ids_is_an_error() -> None:
    text = {"fact": None, "subject": None, "parents": []}
    rows = [IRON | text | {"id": f"abcd{number:012d}"} for number in range(2)]
    message = r"^abcd: the beginning of 2 ids: .*; write more of its digits$"
    with pytest.raises(InputError, match=message):
        entries_of("abcd", [records(*rows)])
    assert entries_of("abcd000000000001", [records(*rows)]) == {"records": ["abcd000000000001"]}
    assert entries_of("abc", [records(*rows)]) is None
    assert entries_of("abce", [records(*rows)]) is None


def test_the_texts_that_state_a_fact_are_excluded_with_it() -> None:
    version = records(IRON, GOLD, TEXT)
    assert entries_of(IRON["fact"], [version]) == {"facts": [IRON["fact"]], "records": [TEXT["id"]]}
    assert entries_of("Iron", [version]) == {
        "subjects": [subject_id("iron")],
        "records": [TEXT["id"]],
    }
    about_iron = TEXT | {"subject": "iron"}
    assert entries_of("iron", [records(IRON, about_iron)]) == {"subjects": [subject_id("iron")]}


def test_a_training_record_stands_for_what_it_was_made_of() -> None:
    made = TEXT | {"id": "d" * 16, "parents": [TEXT["id"], TEXT["id"], "c" * 16]}
    assert entries_of("dddd", [records(TEXT, training=(made,))]) == {
        "records": ["c" * 16, TEXT["id"]]
    }


def test_a_fact_that_the_newest_version_states_elsewhere_is_kept() -> None:
    other = IRON | {"id": "b" * 16, "source": "other"}
    entries = {"sources": [IRON["source"]]}
    target = target_of("x", entries, [records(IRON, other), records(IRON)])
    assert (target.kept, target.facts, target.words) == ([IRON["fact"]], {}, {})
    assert list(target.records) == [IRON["id"]]
    # Only an older version has it elsewhere: then nothing will be learned from there.
    target = target_of("x", entries, [records(IRON), records(IRON, other)])
    assert (target.kept, list(target.facts)) == ([], [IRON["fact"]])
    assert target.words == {"iron": [("1538",)]}


def test_of_a_subject_the_name_alone_is_looked_for() -> None:
    target = target_of("iron", {"subjects": [subject_id("iron")]}, [records(IRON, GOLD)])
    assert target.words == {"iron": [()]}
    assert target.stated_in("Iron is a metal")


def test_the_probe_is_that_of_the_newest_version() -> None:
    old = IRON | {"id": "1" * 16, "split": "probe", "question": "old?"}
    new = IRON | {"id": "2" * 16, "split": "probe", "question": "new?"}
    trained = IRON | {"id": "3" * 16, "split": "train", "question": "trained?"}
    versions = [
        records(IRON, training=(new, trained)),
        records(IRON, training=(old,)),
    ]
    target = target_of("x", {"facts": [IRON["fact"]]}, versions)
    assert target.probes[IRON["fact"]]["question"] == "new?"


@pytest.mark.parametrize(
    ("entries", "option"),
    [
        ({"facts": ["a"]}, "a"),
        ({"facts": ["a"], "records": []}, "a"),
        ({"records": ["a"]}, "a"),
        ({"sources": ["legacy"]}, "--source legacy"),
        ({"subjects": ["a"]}, ""),
        ({"facts": ["a"], "records": ["b"]}, ""),
        ({"facts": ["a", "b"]}, ""),
    ],
)
def test_the_option_has_no_content(entries: dict[str, list[str]], option: str) -> None:
    assert Target("x", entries, {}, {}, {}, [], {}).entries_option() == option
