"""The scores of one variant, from its judged answers."""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from stages.evaluate import scores
from stages.evaluate.answers import key_of, majority_share, right_facts, stated
from stages.evaluate.scores import Score

Row = dict[str, Any]


def probes(rows: list[Row], entity: re.Pattern[str], known: Mapping[str, bool], seed: int) -> Row:
    """Return the section `probes`.

    `known` says for each fact whether the base answers it already. Scores of nothing are None.
    """
    asked = stated(rows)
    numeric = [row for row in asked if row["fact"] and is_number(row)]
    before = [row for row in asked if known[key_of(row)]]
    new = [row for row in asked if not known[key_of(row)]]
    sentences = [(row["expected_sentence"], row["answer"]) for row in asked]
    by_wording = of_wordings(asked)
    return {
        "exact_match": of_column(asked, "correct", seed),
        "contains": of_column(asked, "contained", seed),
        "near": of_column(numeric, "near", seed),
        "new": of_column(new, "correct", seed),
        "known_before": of_column(before, "correct", seed),
        "worst_wording": worst(by_wording),
        "reversed": of_column(of_kind(rows, "reversed"), "correct", seed),
        "comparison": of_column(of_kind(rows, "comparison"), "correct", seed),
        **scores.texts(sentences, entity, seed, [key_of(row) for row in asked]),
        "wordings": {wording: score["value"] for wording, score in by_wording.items()},
    }


def of_kind(rows: list[Row], kind: str) -> list[Row]:
    """Return the answers to probes of a kind."""
    return [row for row in rows if row["probe"] == kind]


def of_column(rows: list[Row], column: str, seed: int) -> Score | None:
    """Return the share of rows whose column is true, with its interval over facts. None without a row."""
    if not rows:
        return None
    hits = [row[column] for row in rows]
    return scores.clustered_share(hits, [key_of(row) for row in rows], seed)


def is_number(row: Row) -> bool:
    """Return whether the expected value of a stated probe is a number, perhaps with a unit."""
    number, _, _ = row["expected"].partition(" ")
    return re.fullmatch(scores.NUMBER, number) is not None


def of_wordings(rows: list[Row]) -> dict[str, Score]:
    """Return the score of each wording, by its template. Each fact stands once in a wording."""
    hits: defaultdict[str, list[bool]] = defaultdict(list)
    for row in rows:
        if row["wording"]:
            hits[row["wording"]].append(row["correct"])
    return {wording: scores.share(judged) for wording, judged in sorted(hits.items())}


def worst(by_wording: dict[str, Score]) -> Row | None:
    """Return the lowest score of a wording, with the wording. None without wordings."""
    if not by_wording:
        return None
    # Of two wordings with the same score, the first by its text.
    wording = min(by_wording, key=lambda template: (by_wording[template]["value"], template))
    return dict(by_wording[wording]) | {"wording": wording}


def completion(rows: list[Row]) -> Score:
    """Return the share of subjects all of whose facts are right, each in more than half of its wordings."""
    right = right_facts(rows)
    done: dict[str, bool] = {}
    for row in stated(rows):
        task = row["subject"] or row["fact"] or row["question"]
        done[task] = done.get(task, True) and right[key_of(row)]
    return scores.share(list(done.values()))


def attribute_rows(facts: list[Row], names: tuple[str, ...], seed: int) -> list[Row]:
    """Return exact match per variant and attribute over all stated wordings, with the majority control.

    The control is the share of the most frequent value: the score of always giving that value.
    """
    groups: defaultdict[tuple[int, str], list[Row]] = defaultdict(list)
    for row in stated(facts):
        position = names.index(row["variant"])
        groups[position, row["attribute"] or "text"].append(row)
    lines = []
    for (position, attribute), rows in sorted(groups.items()):
        score = scores.clustered_share(
            [row["correct"] for row in rows], [key_of(row) for row in rows], seed
        )
        lines.append(
            {
                "variant": names[position],
                "attribute": attribute,
                "exact_match": score["value"],
                "low": score["low"],
                "high": score["high"],
                "n": score["n"],
                "control": round(majority_share(rows), 4),
            }
        )
    return lines


def no_better_than_control(lines: list[Row]) -> dict[str, list[str]]:
    """Return for each variant the attributes whose score is not above the control.

    An attribute with one value in all its facts is left out: always giving it is right.
    """
    found: dict[str, list[str]] = {}
    for line in lines:
        if line["exact_match"] <= line["control"] < 1:
            score = (
                f"{line['attribute']} ({line['exact_match']:.3f}, control {line['control']:.3f})"
            )
            found.setdefault(line["variant"], []).append(score)
    return found


def wording_rows(facts: list[Row], names: tuple[str, ...]) -> list[Row]:
    """Return the score of each wording of every kind of probe, per variant."""
    groups: defaultdict[tuple[int, str, str, str], list[bool]] = defaultdict(list)
    for row in facts:
        if row["wording"]:
            position = names.index(row["variant"])
            key = (position, row["probe"], row["attribute"] or "text", row["wording"])
            groups[key].append(row["correct"])
    lines = []
    for (position, probe, attribute, wording), hits in sorted(groups.items()):
        score = scores.share(hits)
        lines.append(
            {
                "variant": names[position],
                "probe": probe,
                "attribute": attribute,
                "wording": wording,
                "exact_match": score["value"],
                "low": score["low"],
                "high": score["high"],
                "n": score["n"],
            }
        )
    return lines
