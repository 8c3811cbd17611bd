"""How far scores differ from run to run by the random seed alone, and whether a difference lies within that.

`docs/experiments/spread.py` trains one version with several seeds and writes `metrics/spread.json`. Where
there is no such file, nothing is said.

Two scores that are compared are two draws. If they differ by the seed alone, their difference has √2 times
the standard deviation s of a score. A few seeds tell s only roughly, so the limit is t · √2 · s, with the
97.5 % quantile t of Student's distribution. Of the differences by the seed alone, 95 % are at most as large.
"""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from lore.comparison import settings
from stages.core.project import artifacts
from stages.core.project.errors import InputError
from stages.core.project.params import STRICT

if TYPE_CHECKING:
    from lore.versions.version import Version

PATH = "metrics/spread.json"
LEAST_SEEDS = 3
STUDENT = (4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""The quantile t for 3, 4, … 10 seeds. That of 10 is also taken for more: it is a little too large."""
WITHIN = "within it"
BEYOND = "beyond it"
SECTIONS = ("base", "augment", "train", "distill", "quantize", "evaluate")
"""Sections of params.yaml on which the spread depends."""
KEYS_NAMED = 3
"""Settings that are named where they differ from those of the spread."""


@dataclass(frozen=True, config=STRICT)
class Score:
    """A score over all seeds."""

    mean: float
    deviation: Annotated[float, Field(ge=0)]
    """Standard deviation of the sample, divided by the number of seeds less one."""
    lowest: float
    highest: float


@dataclass(frozen=True, config=STRICT)
class Spread:
    """The content of metrics/spread.json."""

    commit: str
    """Full hash of the version that was trained with each seed."""
    seeds: Annotated[list[int], Field(min_length=LEAST_SEEDS)]
    settings: dict[str, Any]
    """Section of params.yaml → its keys, of those in SECTIONS."""
    scores: dict[str, Score]
    """By the dotted path in metrics/evaluate.json, such as train.probes.exact_match."""

    def most(self, score: str) -> float | None:
        """Return the largest difference of a score that is within the spread. None: it was not measured."""
        found = self.scores.get(score)
        if found is None:
            return None
        position = min(len(self.seeds) - LEAST_SEEDS, len(STUDENT) - 1)
        return STUDENT[position] * math.sqrt(2) * found.deviation


def spread_of(version: "Version") -> Spread | None:
    """Return the spread that a version has measured, or None where it has none.

    Raises InputError where the file cannot be read.
    """
    text = version.text(PATH)
    if text is None:
        return None
    try:
        return TypeAdapter(Spread).validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(
            f"{PATH} of {version.label}: {place}: {first['msg']}; docs/experiments/spread.py writes it anew"
        ) from None


def verdict(spread: Spread, score: str, a: float, b: float) -> dict[str, Any] | None:
    """Say whether two values of a score differ by more than seeds do.

    None where they do not differ, or where the spread of the score is unknown.
    """
    most = spread.most(score)
    if most is None or a == b:
        return None
    within = abs(b - a) <= most
    return {"verdict": WITHIN if within else BEYOND, "most": round(most, 4)}


def with_verdicts(rows: Sequence[dict[str, Any]], spread: Spread) -> list[dict[str, Any]]:
    """Return the rows of `significance.judge`, with a verdict as `spread` where a score changed."""
    from lore.comparison.significance import SCORES

    judged = []
    for row in rows:
        a, b = row["a"], row["b"]
        path = ".".join([row["variant"], *SCORES[row["score"]]])
        beside = None
        if a is not None and b is not None:
            beside = verdict(spread, path, a["value"], b["value"])
        judged.append(row if beside is None else {**row, "spread": beside})
    return judged


def description(spread: Spread, version: "Version") -> str:
    """Say in a line what the spread is, and which settings of the version differ from those of the spread."""
    line = (
        f"spread of seeds: how far {len(spread.seeds)} seeds differ at {spread.commit[:12]}; within it, "
        "a difference may come from the seed alone"
    )
    changes = settings.differences(spread.settings, settings_of(version.document(artifacts.PARAMS)))
    keys = [change.key for change in changes]
    if not keys:
        return line
    named = ", ".join(keys[:KEYS_NAMED])
    if len(keys) > KEYS_NAMED:
        named += f" and {len(keys) - KEYS_NAMED} more"
    return f"{line}; other settings there: {named}"


def settings_of(params: Any) -> dict[str, Any]:
    """Return the sections of params.yaml on which the spread depends. `params` is the parsed file."""
    found = {}
    for section in SECTIONS:
        if isinstance(params, Mapping) and section in params:
            found[section] = params[section]
    return found


def measured(
    commit: str, params: Any, metrics_by_seed: Mapping[int, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the content of metrics/spread.json, from metrics/evaluate.json of each seed.

    A score counts where every seed has it. Raises InputError for fewer than three seeds.
    """
    if len(metrics_by_seed) < LEAST_SEEDS:
        raise InputError(
            f"{len(metrics_by_seed)} seeds say too little; name at least {LEAST_SEEDS}"
        )
    found = [dict(scores_in(metrics)) for metrics in metrics_by_seed.values()]
    first = found[0]
    scores = {}
    for name in first:
        if all(name in of_seed for of_seed in found):
            values = [of_seed[name] for of_seed in found]
            scores[name] = {
                "mean": round(statistics.mean(values), 6),
                "deviation": round(statistics.stdev(values), 6),
                "lowest": min(values),
                "highest": max(values),
            }
    return {
        "commit": commit,
        "seeds": list(metrics_by_seed),
        "settings": settings_of(params),
        "scores": scores,
    }


def scores_in(metrics: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, float]]:
    """Yield dotted path and value of each score, which is a mapping with a `value`."""
    value = metrics.get("value")
    if path and isinstance(value, int | float):
        yield path, float(value)
        return
    for name, entry in metrics.items():
        if isinstance(entry, Mapping):
            yield from scores_in(entry, f"{path}.{name}" if path else name)
