"""A knowledge version, a git revision or the workspace, read where it lies: text from git, tables from DVC's cache by the hashes
of that version's dvc.lock. Nothing is checked out, nothing in the workspace is touched.
"""

import difflib
import functools
import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lore.comparison.settings import value
from lore.versions.dvc_cache import Cache, hash_of
from stages.core.project.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

LOCK = "dvc.lock"
CHEAP = 2**26
"""Bytes that are hashed to see whether they were edited."""
CONFLICT = re.compile(r"^(?:<{7}|>{7})(?: |$)", re.MULTILINE)


@dataclass
class Version:
    """One version. `commit` is None for the workspace."""

    name: str
    commit: str | None
    short: str = ""

    @property
    def label(self) -> str:
        """Its name with the commit it means."""
        return (
            f"{self.name} ({self.short})" if self.short and self.short != self.name else self.name
        )

    def content(self, path: str) -> bytes | None:
        """A file's bytes as git holds them there (in the workspace: as they lie), or None where there is none."""
        if self.commit is None:
            return Path(path).read_bytes() if Path(path).is_file() else None
        return git("cat-file", "blob", f"{self.commit}:./{path}")

    def text(self, path: str) -> str | None:
        """A text file as git holds it there (in the workspace: as it lies), or None where there is none.

        Raises InputError for conflict markers, and for what is not UTF-8.
        """
        try:
            content = self.content(path)
            found = None if content is None else content.decode("utf-8")
        except UnicodeDecodeError:
            raise InputError(f"{path} of {self.label}: not UTF-8; save it as UTF-8") from None
        if found and (mark := CONFLICT.search(found)):
            line = found.count("\n", 0, mark.start()) + 1
            remedy = (
                "take one side (git checkout --ours dvc.lock), then run dvc repro"
                if path == LOCK
                else "finish the merge"
            )
            raise InputError(
                f"{path} of {self.label}, line {line}: conflict markers of a merge; {remedy}"
            )
        return found

    def document(self, path: str) -> Any:
        """A YAML or JSON file, or None where there is none. Raises InputError where it cannot be parsed."""
        text = self.text(path)
        try:
            # Every JSON file is YAML too, but read ten times as slowly.
            return (
                None
                if text is None
                else json.loads(text)
                if path.endswith(".json")
                else YAML(typ="safe").load(text)
            )
        except (YAMLError, json.JSONDecodeError) as error:
            form = "JSON" if path.endswith(".json") else "YAML"
            raise InputError(
                f"{path} of {self.label}: not readable as {form}: {' '.join(str(error).split())}"
            ) from None

    @functools.cached_property
    def stages(self) -> dict[str, Any]:
        """What dvc.lock says of each stage; nothing where there is no dvc.lock. Raises InputError as `document` does."""
        found = self.document(LOCK)
        stages = found.get("stages") if isinstance(found, dict) else {}
        if found is not None and not isinstance(stages, dict):
            raise InputError(
                f"{LOCK} of {self.label}: not a dvc.lock; git checkout it from another version, or run dvc repro"
            )
        return stages or {}

    @functools.cached_property
    def outs(self) -> dict[str, str]:
        """Path → hash of every output in dvc.lock."""
        return {
            out["path"]: str(out["md5"])
            for stage in self.stages.values()
            for out in stage.get("outs", [])
            if "md5" in out
        }

    @functools.cached_property
    def cache(self) -> Cache:
        """The cache of the project in this folder."""
        return Cache()

    def has(self, folder: str) -> bool:
        """Whether an output folder belongs to this version: by its dvc.lock, or on disk in the workspace."""
        return folder in self.outs or (self.commit is None and Path(folder).is_dir())

    def demand(self, paths: Sequence[str]) -> None:
        """Raise InputError that names all of these files (such as data/clean/records.parquet) that cannot be had."""
        if self.commit is None:
            missing = [path for path in paths if not Path(path).is_file()]
            folders = " ".join(sorted({str(Path(path).parent) for path in missing}))
            remedy = f"bring them back with dvc checkout {folders} or dvc pull {folders}, or make them with dvc repro"
        else:
            absent = list(self.absent(paths))
            missing = [f"{path} ({digest})" for path, digest in absent]
            folders = " ".join(sorted({str(Path(path).parent) for path, _ in absent}))
            remedy = f"dvc fetch --all-commits {folders}, where a remote is set; else git checkout {self.name}, and dvc repro there"
        if missing:
            where = (
                "in this folder" if self.commit is None else f"in DVC's cache ({self.cache.folder})"
            )
            raise InputError(f"{self.label}: not {where}: {', '.join(missing)}; {remedy}")

    def holds(self, path: str) -> bool:
        """Whether a file of an output folder can be had."""
        return Path(path).is_file() if self.commit is None else not list(self.absent([path]))

    def absent(self, paths: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Those of the files that the cache lacks, each with the hash that is missing: the file's, or its folder's."""
        for path in paths:
            folder, name = str(Path(path).parent), Path(path).name
            digest = self.outs.get(folder, "no hash in dvc.lock")
            if self.cache.has(digest):
                digest = self.cache.listing(digest, f"the list of {folder} of {self.label}").get(
                    name, f"not in {folder}"
                )
            if not self.cache.has(digest):
                yield path, digest

    def table(self, path: str, columns: Sequence[str]) -> "pa.Table":
        """Columns of a Parquet file. Raises InputError where it is missing, corrupted, or of another form."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        what = f"{path} of {self.label}"
        content = self.output(path)
        try:
            file = pq.ParquetFile(pa.BufferReader(content))
            if lacking := sorted(set(columns) - set(file.schema_arrow.names)):
                raise InputError(
                    f"{what}: no column {', '.join(lacking)}; it was written by another Lorekeep: run dvc repro there"
                )
            return file.read(columns=list(columns))
        except (pa.ArrowInvalid, OSError) as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"{what}: not a Parquet file ({reason}); make it again with dvc repro"
            ) from None

    def output(self, path: str) -> bytes:
        """A file of an output folder; from the cache, its hash is checked. Raises InputError where it is missing or corrupted."""
        self.demand([path])
        if self.commit is None:
            return Path(path).read_bytes()
        folder = str(Path(path).parent)
        listing = self.cache.listing(self.outs[folder], f"the list of {folder} of {self.label}")
        return self.cache.read(listing[Path(path).name], f"{path} of {self.label}")

    def doubts(self, read: Sequence[str]) -> list[str]:
        """What keeps this version from being the result of one whole run, a line each; `read` are the outputs that count."""
        return [*self.edited(read), *self.outrun(), *self.unset()]

    def edited(self, read: Sequence[str]) -> Iterator[str]:
        """Files on disk that are not those of dvc.lock: outputs that are read, and inputs in data/raw."""
        if self.commit is not None:
            return
        stages = self.stages.values()
        outs = [out for stage in stages for out in stage.get("outs", []) if out["path"] in read]
        raw = [
            dep
            for stage in stages
            for dep in stage.get("deps", [])
            if dep["path"].startswith("data/raw/")
        ]
        if changed := [entry["path"] for entry in outs + raw if edited(Path(entry["path"]), entry)]:
            yield f"on disk, not as in {LOCK}: {', '.join(changed)}; dvc repro brings the version up to date"

    def outrun(self) -> Iterator[str]:
        """Stages that ran on another input than the version has now: what they made is of an earlier run."""
        for name, stage in self.stages.items():
            if name == "register":  # what it makes is not compared
                continue
            deps = [(dep["path"], dep.get("md5")) for dep in stage.get("deps", [])]
            if old := [
                path
                for path, digest in deps
                if path in self.outs and str(digest) != self.outs[path]
            ]:
                yield f"{name} ran on another {', '.join(old)} than {LOCK} has: run dvc repro"

    def unset(self) -> Iterator[str]:
        """Settings and sections of params.yaml that are not those of the run."""
        now = self.document("params.yaml") or {}
        ran = [stage.get("params", {}).get("params.yaml", {}) for stage in self.stages.values()]
        if changed := list(
            dict.fromkeys(
                name for keys in ran for name, was in keys.items() if value(now, name) != was
            )
        ):
            yield f"params.yaml, not as in {LOCK}: {', '.join(changed)}; dvc repro brings the version up to date"


def edited(path: Path, entry: dict[str, Any]) -> bool:
    """Whether what lies there is not what an entry of dvc.lock describes. What is large and as long as it was is not read."""
    if not path.exists():
        return False
    size = sum(
        file.stat().st_size
        for file in (path.rglob("*") if path.is_dir() else [path])
        if file.is_file()
    )
    return size != entry.get("size", size) or (size <= CHEAP and hash_of(path) != entry.get("md5"))


def workspace() -> Version:
    """The files as they lie in this folder."""
    return Version("workspace", None)


def revision(name: str) -> Version:
    """What git means by `name`. Raises InputError where it means nothing."""
    found = git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if found is None:
        if git("rev-parse", "--git-dir") is None:
            raise InputError("no git repository here; run from the project's root folder")
        known = (git("for-each-ref", "--format=%(refname:short)") or b"").decode().split()
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise InputError(
            f"{name}: no such revision; {hint}Write a branch, a tag or a commit (git branch --all, git tag, git log); "
            "git fetch brings those of a remote"
        )
    commit = found.decode().strip()
    return Version(name, commit, (git("rev-parse", "--short", commit) or found).decode().strip())


def git(*command: str) -> bytes | None:
    """What git prints, or None where it fails."""
    try:
        return subprocess.run(["git", *command], capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
