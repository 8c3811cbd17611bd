"""Proposals that close gaps, as files on a branch of git: a person fills them in and reviews them.

The branch grows from HEAD. No file here is touched, and nothing of it is learned before a person moves it: a source is
named in params.yaml, a wording is copied into data/raw/wordings.yaml.

- `rows.csv`: the facts that the records lack, with empty values
- `wordings.yaml`: for each attribute with a wording that is not understood, drafts of train wordings
- `contradictions.csv`: both sides of each, and an empty column for the decision
- `questions.csv`: what was asked in vain, by theme, and an empty column for a source

A draft is a train wording of another attribute with the names exchanged: "How dense is {subject}?" gives nothing, "What is
the density of {subject}?" gives "What is the melting point of {subject}?". A wording of valid or probe is never a draft.
"""

import csv
import io
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lore.gaps.failed import WeakWording
from lore.gaps.missing import Missing
from lore.gaps.unanswered import Theme
from stages.augment.readings import asked_word_sets, word_set
from stages.augment.wordings import Attribute
from stages.core.project import git
from stages.core.project.errors import InputError

FOLDER = "proposals"
COLUMNS = ("subject", "attribute", "value", "unit", "source")
DRAFTS = 6
"""Drafts for each attribute."""
README = """# Proposals

`lore gaps --branch` has written these files. Nothing here is learned.

1. Fill in `rows.csv`, put it below data/raw, and name it as a source in params.yaml. Delete rows that nobody knows.
2. Rewrite the drafts of `wordings.yaml` in your own words, and copy the good ones to data/raw/wordings.yaml.
3. Correct the wrong source of each row of `contradictions.csv`.
4. Find a source for each theme of `questions.csv`.
5. Remove this folder, then dvc repro. `lore gaps` says which gaps are closed.
"""

Row = dict[str, Any]


def files_of(
    missing: Sequence[Missing],
    wordings: Sequence[WeakWording],
    attributes: Mapping[str, Attribute],
    contradictions: Sequence[Row],
    themes: Sequence[Theme],
) -> dict[str, str]:
    """Return name → content of the proposals. A kind of gap that there is none of has no file."""
    files = {"README.md": README}
    if missing:
        files["rows.csv"] = rows_to_fill(missing)
    if wordings:
        files["wordings.yaml"] = wordings_to_add(wordings, attributes)
    if contradictions:
        rows = [contradiction_row(one) for one in contradictions]
        header = (
            "subject",
            "attribute",
            "kept",
            "kept in",
            "set aside",
            "set aside in",
            "right is",
        )
        files["contradictions.csv"] = table(header, rows)
    if themes:
        asked = []
        for theme in themes:
            for question in theme.questions:
                asked.append((theme.name, question, ""))
        files["questions.csv"] = table(("theme", "question", "source"), asked)
    return files


def rows_to_fill(missing: Sequence[Missing]) -> str:
    """Return the missing facts as a CSV table with empty values."""
    rows = [(one.subject, one.attribute, "", one.unit, "") for one in missing]
    return table(COLUMNS, rows)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a CSV table."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow([harmless(cell) for cell in row])
    return text.getvalue()


def harmless(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: "=1+1" becomes "'=1+1". Numbers stay."""
    is_number = re.fullmatch(r"[-+]?[\d.,]+", cell)  # such as -38.8
    if cell.startswith(("=", "+", "-", "@")) and not is_number:
        return f"'{cell}"
    return cell


def contradiction_row(entry: Row) -> tuple[str, ...]:
    """Return both sides of a contradiction, and an empty cell for the decision."""
    cells = [entry["subject"], entry["attribute"]]
    for side in (entry["winner"], entry["loser"]):
        cells += [side["normalised"], f"{side['source']}: {side['locator']}"]
    return (*cells, "")


def wordings_to_add(wordings: Sequence[WeakWording], attributes: Mapping[str, Attribute]) -> str:
    """Return YAML with the drafts for each attribute, and what its wordings reach."""
    from lore.versions import yaml_file

    entries: dict[str, Any] = {}
    for one in wordings:
        entry = entries.setdefault(one.attribute, {"not_understood": [], "train_drafts": []})
        # A probe is not written down: whoever copies it would measure nothing any more.
        entry["not_understood"].append({"probe": one.probe, "right": round(one.score, 3)})
    for name, entry in entries.items():
        if name in attributes:
            entry["train_drafts"] = drafts(name, attributes)
    return yaml_file.text({"attributes": entries})


def drafts(name: str, attributes: Mapping[str, Attribute]) -> list[str]:
    """Return train wordings of other attributes with the names exchanged, those of most attributes first."""
    own = attributes[name]
    known = {word_set(wording.template) for wording in own.wordings()}
    known |= asked_word_sets(attributes)
    counted: Counter[str] = Counter()
    for other in sorted(attributes.keys() - {name}):
        frames = set()
        for question in attributes[other].train.questions:
            frame = frame_of(question, attributes[other].names or [other])
            if frame:
                frames.add(frame)
        counted.update(frames)
    found: list[str] = []
    for frame in sorted(counted, key=lambda text: (-counted[text], text)):
        draft = frame.replace("{attribute}", (own.names or [name])[0])
        if word_set(draft) not in known:
            known.add(word_set(draft))
            found.append(draft)
    return found[:DRAFTS]


def frame_of(question: str, names: Sequence[str]) -> str:
    """Return a question with its attribute's name exchanged for a slot, or an empty text without such a name."""
    for name in sorted(names, key=len, reverse=True):
        frame, exchanged = re.subn(rf"\b{re.escape(name)}\b", "{attribute}", question)
        if exchanged == 1:
            return frame
    return ""


def write_branch(branch: str, files: Mapping[str, str], message: str) -> str:
    """Commit the files on a new branch that grows from HEAD, and return the commit.

    Neither index nor files here change. Raises InputError where the name is taken or no name of a branch, or where there
    is no commit yet.
    """
    git.call("check-ref-format", "--branch", branch, remedy="name the branch otherwise")
    reference = f"refs/heads/{branch}"
    if git.read_text("rev-parse", "--verify", "--quiet", reference):
        raise InputError(
            f"--branch {branch}: is there already; name another one, so that no review is lost, or "
            f"git branch --delete {branch}"
        )
    head = git.read_text("rev-parse", "--verify", "--quiet", "HEAD")
    if head is None:
        raise InputError("--branch: no commit here yet; git commit first")
    below = git.call("rev-parse", "--show-prefix").strip()
    with tempfile.TemporaryDirectory() as folder:
        # An index of its own, so that the one of the repository is not touched.
        variables = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git.call("read-tree", head, environment=variables)
        listing = ""
        for name, content in sorted(files.items()):
            blob = git.call("hash-object", "-w", "--stdin", given=content).strip()
            listing += f"100644 blob {blob}\t{below}{FOLDER}/{name}\0"
        git.call("update-index", "-z", "--index-info", environment=variables, given=listing)
        tree = git.call("write-tree", environment=variables).strip()
    commit = git.call("commit-tree", tree, "-p", head, given=message).strip()
    # The third argument says that the branch must not be there, also if somebody made it meanwhile.
    git.call("update-ref", reference, commit, "0" * len(commit))
    return commit
