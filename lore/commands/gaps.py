"""Show where the knowledge has gaps, and what closes each of them.

Five kinds are looked for:

- wordings: probe wordings that the model understands far less than --limit
- facts: facts that the model gets wrong in most wordings
- missing: attributes that most subjects of a kind have, and some lack
- contradictions: facts on which two sources differ, so that one of them is wrong
- questions: with --questions FILE, what people asked and no record answers, in themes

--rows FILE writes the missing facts as a CSV table with an empty column for the values. Fill it in, and read it
as a source. --branch NAME writes that table, drafts of wordings, contradictions and themes into a new branch of git, for
a person to review. Example: `lore gaps --rows to_fill.csv`. Exit code 0, and with --exit-code 3 where there is a gap.
"""

import argparse
import csv
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.core.models.variants import NAMES
from stages.core.project import artifacts
from stages.core.project.errors import InputError

if TYPE_CHECKING:
    from lore.gaps.failed import LostFact, WeakWording
    from lore.gaps.missing import Missing
    from lore.gaps.unanswered import Theme
    from lore.rendering.report import Section
    from stages.core.retrieval.encoder import Encoder

Row = dict[str, Any]
FOUND = 3
LISTED = 8
"""Rows of each table without --all."""
LIMIT = 0.5
COMMON = 0.8
LEAST = 0.6
"""Lowest cosine at which a free text of the index counts as an answer."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lore gaps`."""
    parser.add_argument(
        "--questions", type=Path, metavar="FILE",
        help="questions that people asked: one in each line, or JSON Lines with `question`",
    )  # fmt: skip
    parser.add_argument(
        "--rows",
        type=Path,
        metavar="FILE",
        help="write the missing facts as a CSV table to fill in",
    )
    parser.add_argument(
        "--branch",
        metavar="NAME",
        help="write proposals that close the gaps into a new branch of git; no file here changes",
    )
    parser.add_argument(
        "--model",
        choices=NAMES,
        default="train",
        help="variant whose answers count; default: train",
    )
    parser.add_argument(
        "--limit", type=share, default=LIMIT, metavar="SHARE",
        help=f"wordings and facts below this share of right answers are gaps; default: {LIMIT}",
    )  # fmt: skip
    parser.add_argument(
        "--common", type=share, default=COMMON, metavar="SHARE",
        help="an attribute is expected where at least this share of similar subjects have it; "
        f"default: {COMMON}",
    )  # fmt: skip
    parser.add_argument("--all", action="store_true", help="list everything")
    parser.add_argument(
        "--json", action="store_true", help="print JSON; it always holds everything"
    )
    parser.add_argument(
        "--exit-code", action="store_true", help=f"exit with {FOUND} where there is a gap"
    )


def share(text: str) -> float:
    """Return a share in [0, 1]."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no share; write a number from 0 to 1")
    return value


def run(options: argparse.Namespace) -> int:
    """Print the gaps, and perhaps write the rows to fill in.

    Raises InputError where the records or the answers are missing, or a file cannot be read or written.
    """
    from lore.gaps import failed, missing, proposals, unanswered
    from lore.rendering import report, terminal
    from stages.augment.wordings import read_wordings
    from stages.core.records import record

    records = record.read(Path(artifacts.CLEAN_RECORDS))
    wordings = failed.weak_wordings(scores_of_wordings(), options.model, options.limit)
    facts = failed.lost_facts(answers(), options.model, options.limit)
    lacking = missing.find(records, options.common)
    contradictions = read_contradictions()
    themes: list[Theme] = []
    asked: list[str] = []
    if options.questions:
        asked = unanswered.read(options.questions)
        training = record.read(Path(artifacts.TRAINING_RECORDS))
        vain = unanswered.without_answer(asked, records, training, nearness(records))
        subjects = {row["subject"] for row in records if row["fact"]}
        encoder = encoder_of_themes()
        if encoder is None:
            themes = unanswered.themes(vain, subjects)
        else:
            themes = unanswered.themes(vain, subjects, encoder.vector, speaks_chinese(encoder))
    if options.rows:
        write_rows(options.rows, lacking)
    if options.branch:
        attributes = read_wordings(Path(artifacts.WORDINGS), (), 0, 0)
        files = proposals.files_of(lacking, wordings, attributes, contradictions, themes)
        message = f"Proposals for gaps: {', '.join(name for name in files if name != 'README.md')}"
        proposals.write_branch(options.branch, files, message)

    gaps = len(wordings) + len(facts) + len(lacking) + len(contradictions) + len(themes)
    if options.json:
        document = {
            "wordings": [asdict(one) for one in wordings],
            "facts": [asdict(one) for one in facts],
            "missing": [asdict(one) for one in lacking],
            "contradictions": contradictions,
            "questions": [asdict(one) for one in themes],
        }
        print(terminal.json_text(document))
    else:
        most = None if options.all else LISTED
        sections = [
            section_of_wordings(wordings, most),
            section_of_facts(facts, most),
            section_of_missing(lacking, most),
            section_of_contradictions(contradictions, most),
        ]
        if options.questions:
            sections.append(section_of_themes(themes, len(asked), most))
        title = f"Gaps of the knowledge here, model {options.model}"
        print(report.text(title, [], sections), end="")
        if options.rows:
            print(f"\n{len(lacking):,} rows to fill in: {terminal.shown(str(options.rows))}")
        if options.branch:
            name = terminal.quoted(options.branch)
            print(f"\nproposals on the branch {name}: git diff HEAD...{name} shows them")
    return FOUND if options.exit_code and gaps else 0


def scores_of_wordings() -> list[Row]:
    """Return the rows of metrics/evaluate/wordings.csv. Raises InputError where it is missing."""
    path = Path(artifacts.WORDING_METRICS)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run dvc repro evaluate") from None


def answers() -> list[Row]:
    """Return the rows of data/evaluate/facts.parquet. Raises InputError where it cannot be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = Path(artifacts.ANSWERS)
    try:
        rows: list[Row] = pq.read_table(path).to_pylist()
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run dvc repro evaluate") from None
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: not a table ({reason}); dvc checkout --force {path.parent} brings it back"
        ) from None
    return rows


def read_contradictions() -> list[Row]:
    """Return what `clean` found two sources to differ on. Raises InputError where it is missing."""
    path = Path(artifacts.CONTRADICTIONS)
    try:
        found: list[Row] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: not found; run dvc repro clean") from None
    except ValueError as error:
        raise InputError(
            f"{path}: no JSON ({error}); dvc checkout --force {path.parent} brings it back"
        ) from None
    return found


def nearness(records: Sequence[Row]) -> Callable[[str], bool]:
    """Return a function that says whether a free text of the index answers a question.

    A fact that is only near answers another question: "How toxic is lead?" is near to the melting point of
    lead. Without an index the function never says so.
    """
    from lore.retrieval.search import opened
    from stages.core.retrieval import vectors

    try:
        index, encoder = opened(1)
    except InputError:
        return lambda question: False
    texts = {row["id"] for row in records if not row["fact"]}

    def is_near(question: str) -> bool:
        hits = vectors.search(index, encoder.vector(question), 1)
        if not hits:
            return False
        nearest = hits[0]
        return nearest.record in texts and nearest.similarity >= LEAST

    return is_near


def encoder_of_themes() -> "Encoder | None":
    """Return what compares questions: the encoder of the index, else the packaged one, else None."""
    from stages.core.retrieval.encoder import PACKAGED, Encoder
    from stages.core.retrieval.finding import encoder_of

    try:
        name, _ = encoder_of(Path(artifacts.INDEX_MANIFEST))
    except InputError:
        name = PACKAGED  # there is no index
    try:
        encoder = Encoder(name or PACKAGED, 1)
    except InputError:
        return None  # the extra `index` is not installed
    encoder.remembers = False  # what people asked is kept nowhere
    return encoder


def speaks_chinese(encoder: "Encoder") -> bool:
    """Return whether an encoder was trained on Chinese, as far as that is known: the packaged one was not."""
    from stages.core.retrieval.encoder import LANGUAGES, PACKAGED, packaged_folder

    try:
        is_packaged = encoder.folder == packaged_folder()
    except InputError:
        return True
    return not is_packaged or "zh" in LANGUAGES[PACKAGED]


def write_rows(path: Path, lacking: Sequence["Missing"]) -> None:
    """Write the missing facts as a table with empty values. Raises InputError where it cannot be written."""
    from lore.gaps.proposals import rows_to_fill
    from stages.core.project.output import replacing

    if path.exists():
        raise InputError(f"{path}: is there already; name another file, so that no value is lost")
    try:
        with replacing(path) as temporary:
            temporary.write_text(rows_to_fill(lacking), encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror}); name another file"
        ) from None


def section_of_wordings(found: "list[WeakWording]", most: int | None) -> "Section":
    """Return the table of wordings that are not understood."""
    from lore.rendering.report import Section, left_out

    lines = [
        "Add train wordings of the same form to the attribute in data/raw/wordings.yaml. "
        "Never copy a probe: it would test nothing any more."
    ]
    rows: list[tuple[str, ...]] = []
    for one in found[:most]:
        rows.append(
            (one.attribute, one.probe, one.wording, f"{one.score:.3f}", f"{one.of_attribute:.3f}")
        )
    lines += left_out("wordings", len(found), most)
    return Section(
        f"Wordings that are not understood: {len(found):,}",
        tuple(lines if found else []),
        ("attribute", "probe", "wording", "right", "others of it"),
        rows,
    )


def section_of_facts(found: "list[LostFact]", most: int | None) -> "Section":
    """Return the table of facts that the model gets wrong."""
    from lore.rendering.report import Section, left_out

    rows: list[tuple[str, ...]] = []
    for one in found[:most]:
        rows.append(
            (f"{one.subject} · {one.attribute}", one.expected, one.answer, f"{one.share:.2f}")
        )
    counted = Counter(one.attribute for one in found)
    by_attribute = [f"{name} {number:,}" for name, number in counted.most_common()]
    lines = []
    if found:
        lines = [
            "More questions per fact (augment.questions) or steps (train.steps) teach them.",
            f"by attribute: {', '.join(by_attribute)}",
            *left_out("facts", len(found), most),
        ]
    return Section(
        f"Facts that the model gets wrong in most wordings: {len(found):,}",
        tuple(lines),
        ("fact", "right is", "answers", "right in"),
        rows,
    )


def section_of_missing(found: "list[Missing]", most: int | None) -> "Section":
    """Return the table of facts that the records lack."""
    from lore.rendering.report import Section, left_out

    rows: list[tuple[str, ...]] = []
    for one in found[:most]:
        reason = f"{one.share:.0%} of {one.subjects:,} with {one.because}"
        rows.append((one.subject, one.attribute, reason))
    counted = Counter(one.attribute for one in found)
    by_attribute = [f"{name} {number:,}" for name, number in counted.most_common()]
    lines = []
    if found:
        lines = [
            "lore gaps --rows FILE writes them as a table to fill in.",
            f"by attribute: {', '.join(by_attribute)}",
            *left_out("missing facts", len(found), most),
        ]
    return Section(
        f"Facts that the records lack: {len(found):,}",
        tuple(lines),
        ("subject", "attribute", "expected, as it is known for"),
        rows,
    )


def section_of_contradictions(found: list[Row], most: int | None) -> "Section":
    """Return the table of facts on which two sources differ."""
    from lore.rendering.report import Section, left_out

    rows: list[tuple[str, ...]] = []
    for one in found[:most]:
        rows.append(
            (f"{one['subject']} · {one['attribute']}", side(one["winner"]), side(one["loser"]))
        )
    lines = []
    if found:
        lines = [
            "Correct the wrong source, or put the right one first in extract.sources.",
            *left_out("contradictions", len(found), most),
        ]
    return Section(
        f"Facts on which two sources differ: {len(found):,}",
        tuple(lines),
        ("fact", "kept", "set aside"),
        rows,
    )


def side(record: Row) -> str:
    """Return one side of a contradiction: its value and its place."""
    place = f"{record['source']}: {record['locator']}"
    return f"{record['normalised']} ({place})"


def section_of_themes(found: "list[Theme]", asked: int, most: int | None) -> "Section":
    """Return the table of themes that were asked in vain."""
    from lore.rendering.report import Section, left_out

    vain = sum(len(theme.questions) for theme in found)
    rows: list[tuple[str, ...]] = []
    for theme in found[:most]:
        rows.append((theme.name, f"{len(theme.questions):,}", theme.questions[0]))
    lines = [f"{vain:,} of {asked:,} questions have no answer here"]
    if found:
        lines.append("Add a source for each theme.")
        lines += left_out("themes", len(found), most)
    return Section(
        f"Themes that were asked in vain: {len(found):,}",
        tuple(lines),
        ("theme", "questions", "such as"),
        rows,
    )
