"""Training that goes on from an earlier knowledge version: its adapter is the start, and what changed is learned.

`train.continue_from` names the version by its full commit hash. Its adapter (`models/train`) and records
(`data/augment`) are read through DVC at that commit, from the cache or a remote. That commit's dvc.lock names the
hash of the adapter, which is checked. So the commit pins everything, and the stage stays deterministic.

Facts are compared by value.

- New and changed facts: all their rows are learned.
- Kept facts: a share of the version's rows (`update.rehearse_share`) is replayed, as the base's own texts are. On them the
  loss is KL(version || tuned).
- Removed facts: their rows are gone, and the curvature does not protect them.

EWC measures the curvature of the version's predictions, on its records of kept facts and on the base's own texts.
The penalty is on the change since the version, not since the base.

Backward transfer of a row of versions: Lopez-Paz & Ranzato 2017, arXiv 1706.08840.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stages.core.models.model_folder import is_pinned
from stages.core.project import git
from stages.core.project.errors import InputError, ModelError, ParamsError
from stages.core.records.record import read_records
from stages.core.repeatable.seeding import rng_for

SETTING = "train.continue_from"
LOCK_FILE = "dvc.lock"
RECORDS = "records.parquet"
ADAPTER = "adapter"
FORM = {
    "r": "r",
    "lora_alpha": "alpha",
    "use_rslora": "rs",
    "use_dora": "dora",
    "target_modules": "target_modules",
    "target_parameters": "experts",
}
"""Keys of peft's config that decide the adapter's form, and the settings below `train.lora`."""


@dataclass(frozen=True)
class Version:
    """An earlier knowledge version, fetched."""

    commit: str
    folder: Path
    """What its `models/train` holds."""
    md5: str
    """Hash of that folder in its dvc.lock."""
    rows: Sequence[Mapping[str, Any]]
    """Its records of split train."""

    @property
    def base_sha256(self) -> str:
        """Hash of the base that its adapter was trained on."""
        manifest = json.loads((self.folder / "manifest.json").read_text(encoding="utf-8"))
        sha256: str = manifest["base_sha256"]
        return sha256


@dataclass(frozen=True)
class Start:
    """From where training goes on."""

    version: Version
    changes: "Changes"
    weights: dict[str, Any]
    """The version's adapter by names of the model's parameters."""
    rehearsed: Sequence[Mapping[str, Any]]
    """Records of kept facts that are replayed."""

    def kept_records(self) -> list[Mapping[str, Any]]:
        """Return the version's records of kept facts: what the curvature is to protect."""
        return [row for row in self.version.rows if fact_of(row) in self.changes.kept]

    def of_layers(self, names: Iterable[str]) -> dict[str, tuple[Any, Any]]:
        """Return A' (r, in) and B (out, r) of each layer."""
        found = {}
        for name in names:
            down = self.weights[f"{name}.lora_A.default.weight"]
            up = self.weights[f"{name}.lora_B.default.weight"]
            found[name] = (down, up)
        return found

    def report(self) -> dict[str, Any]:
        """Return what the stage's manifest says about it."""
        return {
            "commit": self.version.commit,
            "adapter_md5": self.version.md5,
            "facts": self.changes.counts(),
            "rehearsed_rows": len(self.rehearsed),
        }


@dataclass(frozen=True)
class Changes:
    """Facts of two versions, compared by value. A record that states no fact is one by its text."""

    new: frozenset[str]
    changed: frozenset[str]
    kept: frozenset[str]
    removed: frozenset[str]

    def learned(self, row: Mapping[str, Any]) -> bool:
        """Return whether a record is learned: its fact is new or changed."""
        fact = fact_of(row)
        return fact in self.new or fact in self.changed

    def counts(self) -> dict[str, int]:
        """Return the number of facts of each kind."""
        return {
            "new": len(self.new),
            "changed": len(self.changed),
            "kept": len(self.kept),
            "removed": len(self.removed),
        }


def prepare(
    commit: str,
    out: Path,
    augment: Path,
    folder: Path,
    model: Any,
    base_sha256: str,
    rehearse_share: float,
    seed: int,
) -> Start:
    """Fetch a version into `folder`, give the fresh adapter of `model` its weights, and compare the facts.

    Raises InputError where nothing is new or changed, and what `fetch` and `start_from` raise.
    """
    version = fetch(commit, out, augment, folder)
    weights = start_from(version, model, base_sha256)
    now = [row for row in read_records(augment / RECORDS) if row["split"] == "train"]
    changes = compared(version.rows, now)
    if not changes.new and not changes.changed:
        raise InputError(
            f"{SETTING}: no fact is new or changed since {commit[:12]}, so there is nothing to learn; "
            "write continue_from: null, or roll back to that version"
        )
    return Start(version, changes, weights, rehearsed(version, changes, rehearse_share, seed))


def check_commit(wanted: str) -> None:
    """Raise ParamsError where the setting is no full commit hash, with the commit to write."""
    if is_pinned(wanted):
        return
    found = git.read("rev-parse", "--verify", "--quiet", f"{wanted}^{{commit}}")
    advice = "copy it from `git log`, because a branch or tag may move"
    if found is not None:
        advice = f"{wanted!r} is {found.decode().strip()} now: write that, because a branch or tag may move"
    raise ParamsError(
        f"{SETTING}: needs a full commit hash (40 hex digits), got {wanted!r}; {advice}"
    )


def fetch(commit: str, out: Path, augment: Path, folder: Path) -> Version:
    """Fetch adapter and records of a version into `folder`.

    `out` and `augment` are the stage's own paths, relative to the project's root. Raises InputError where the
    commit, its lock file, or the files behind it are not to be had.
    """
    check_commit(commit)
    if git.read("rev-parse", "--verify", "--quiet", f"{commit}^{{commit}}") is None:
        raise InputError(
            f"{SETTING}: {commit}: no such commit here; fetch it with `git fetch`, or write another"
        )
    from dvc.api import DVCFileSystem

    files = DVCFileSystem(rev=commit)
    adapter_hash = locked_hash(files, commit, out)
    copy(files, commit, out, folder / "model")
    records = folder / "records"
    copy(files, commit, augment / RECORDS, records / RECORDS)
    actual = md5_of_folder(folder / "model")
    if actual != adapter_hash:
        raise InputError(
            f"{SETTING}: {out} of {commit[:12]} has the hash {actual}, and its {LOCK_FILE} says {adapter_hash}; "
            "the copy in the cache or remote is damaged: bring it back with `dvc fetch --all-commits`"
        )
    rows = [row for row in read_records(records / RECORDS) if row["split"] == "train"]
    return Version(commit, folder / "model", adapter_hash, rows)


def locked_hash(files: Any, commit: str, out: Path) -> str:
    """Return the hash of an output in the version's dvc.lock. Raises InputError where it names none."""
    try:
        lock = YAML(typ="safe").load(files.read_text(LOCK_FILE))
    except FileNotFoundError:
        lock = None
    for stage in (lock or {}).get("stages", {}).values():
        for output in stage.get("outs", []):
            if output["path"] == out.as_posix():
                md5: str = output["md5"]
                return md5
    raise InputError(
        f"{SETTING}: {LOCK_FILE} of {commit[:12]} names no {out.as_posix()}; write the commit of a version "
        "whose pipeline has run (`lore versions` lists them)"
    )


def copy(files: Any, commit: str, source: Path, target: Path) -> None:
    """Copy a file or folder of the version. Raises InputError where it is neither cached nor in a remote."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        files.get(source.as_posix(), str(target), recursive=True)
    except Exception as error:  # each kind of remote raises its own
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"{SETTING}: {source.as_posix()} of {commit[:12]} is neither in DVC's cache nor in a remote "
            f"({type(error).__name__}: {reason}); bring it with `dvc fetch --all-commits`, or push it from where "
            "it was trained with `dvc push --all-commits`"
        ) from None


def md5_of_folder(folder: Path) -> str:
    """Return the hash that DVC gives a folder: the MD5 over the hashes and names of its files, as JSON."""
    entries = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            md5 = hashlib.file_digest(file, "md5").hexdigest()
        entries.append({"md5": md5, "relpath": path.relative_to(folder).as_posix()})
    entries.sort(key=lambda entry: entry["relpath"])
    content = json.dumps(entries, sort_keys=True).encode()
    return hashlib.md5(content, usedforsecurity=False).hexdigest() + ".dir"


def fact_of(row: Mapping[str, Any]) -> str:
    """Return what identifies the fact of a record. A record without one stands for itself."""
    fact = row["fact"]
    return f"fact {fact}" if fact else f"text {row['text']}"


def values_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, set[tuple[Any, Any]]]:
    """Return the values (number or text, unit) of each fact."""
    values: dict[str, set[tuple[Any, Any]]] = {}
    for row in rows:
        values.setdefault(fact_of(row), set()).add((row["value"], row["unit"]))
    return values


def compared(before: Iterable[Mapping[str, Any]], now: Iterable[Mapping[str, Any]]) -> Changes:
    """Compare the facts of two sets of records."""
    old = values_of(before)
    new = values_of(now)
    both = old.keys() & new.keys()
    changed = {fact for fact in both if old[fact] != new[fact]}
    return Changes(
        new=frozenset(new.keys() - old.keys()),
        changed=frozenset(changed),
        kept=frozenset(both - changed),
        removed=frozenset(old.keys() - new.keys()),
    )


def rehearsed(
    version: Version, changes: Changes, share: float, seed: int
) -> list[Mapping[str, Any]]:
    """Return a share of the version's records of kept facts, chosen by the seed, in the version's order."""
    kept = [row for row in version.rows if fact_of(row) in changes.kept]
    chosen = rng_for(seed, "rehearse").sample(range(len(kept)), round(share * len(kept)))
    return [kept[number] for number in sorted(chosen)]


def start_from(version: Version, model: Any, base_sha256: str) -> dict[str, Any]:
    """Give the fresh adapter of `model` the version's weights, and return them by name.

    Raises ModelError where the version has another base, or an adapter of another form.
    """
    import torch
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    if version.base_sha256 != base_sha256:
        raise ModelError(
            f"{SETTING}: {version.commit[:12]} was trained on the base {version.base_sha256[:12]}…, and this one "
            f"is {base_sha256[:12]}…; set the base section of params.yaml as it was, or write continue_from: null"
        )
    config_file = version.folder / ADAPTER / "adapter_config.json"
    old = json.loads(config_file.read_text(encoding="utf-8"))
    now = model.peft_config["default"].to_dict()
    for key, setting in FORM.items():
        one, other = comparable(old.get(key)), comparable(now.get(key))
        if one != other:
            raise ModelError(
                f"{SETTING}: the adapter of {version.commit[:12]} has {key} {one}, and train.lora.{setting} gives "
                f"{other}; write the old one, or continue_from: null"
            )
    weights = load_file(version.folder / ADAPTER / "adapter_model.safetensors")
    result = set_peft_model_state_dict(model, weights)
    starts = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            starts[name] = weight.detach().clone()
    if result.unexpected_keys or len(weights) != len(starts):
        raise ModelError(f"{config_file.parent}: the adapter does not fit this base")
    assert all(torch.isfinite(weight).all() for weight in starts.values())
    return starts


def comparable(value: Any) -> Any:
    """Return a set or list of names as a sorted list. None and an empty list are the same."""
    if isinstance(value, set | list | tuple):
        return sorted(value) or None
    return value


@contextmanager
def as_before(model: Any, starts: Mapping[str, Any]) -> Iterator[None]:
    """Let the model be the version from which training started, in the body, and without dropout.

    A graph of the tuned model stays valid, since the tuned weights are back before anybody goes through it.
    """
    was_training = model.training
    tuned = {}
    for name, weight in model.named_parameters():
        if name in starts:
            tuned[name] = weight.data
            weight.data = starts[name]
    model.eval()  # no dropout in what is to be kept
    try:
        yield
    finally:
        for name, weight in model.named_parameters():
            if name in starts:
                weight.data = tuned[name]
        model.train(was_training)
