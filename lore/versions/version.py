"""A knowledge version: a git revision, or the workspace.

It is read where it lies: text from git, tables from DVC's cache by the hashes of that version's
dvc.lock. Nothing is checked out, and nothing in the workspace is changed.
"""

import difflib
import functools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from lore.versions import inputs, names, pointers
from lore.versions.dotted_key import value
from lore.versions.dvc_cache import Cache, md5_of_file
from lore.versions.pointers import Pointer
from stages.core.project import git
from stages.core.project.artifacts import LOCK_FILE, PARAMS
from stages.core.project.errors import InputError
from stages.core.project.params import NO_YAML

if TYPE_CHECKING:
    import pyarrow as pa

LOCK = LOCK_FILE
NO_BLOB = "160000"
"""Mode of an entry of git that is no file: the commit of a submodule."""

# The first or last line of a conflict that git leaves in a file: `<<<<<<< HEAD`, `>>>>>>> branch`.
CONFLICT = re.compile(r"^(?:<{7}|>{7})(?: |$)", re.MULTILINE)


@dataclass
class Version:
    """One version. `commit` is None for the workspace."""

    name: str
    commit: str | None
    short: str = ""

    @property
    def label(self) -> str:
        """Its name, with the short hash of its commit where that says more."""
        if self.short and self.short != self.name:
            return f"{self.name} ({self.short})"
        return self.name

    @functools.cached_property
    def files(self) -> dict[str, str]:
        """Path → name of the blob, of every file that git keeps in this version. Empty: workspace.

        Paths are relative to the project's root. Raises GitError where git cannot list them.
        """
        if self.commit is None:
            return {}
        blobs = {}
        # Each entry is "100644 blob 7898…\tdata/raw/a.csv".
        for entry in git.names(git.read("ls-tree", "-r", "-z", self.commit)):
            kind, _, path = entry.partition("\t")
            mode, _, blob = kind.split(" ")
            if mode != NO_BLOB:
                blobs[path] = blob
        return blobs

    @functools.cached_property
    def pointers(self) -> list[Pointer]:
        """The files and folders that DVC keeps for git. Empty for the workspace.

        Raises InputError where a pointer file cannot be read.
        """
        found = []
        for name in self.files:
            if pointers.is_pointer(name):
                found += pointers.parse(name, self.text(name) or "", self.label)
        return found

    def pointer_to(self, path: str) -> Pointer | None:
        """Return the pointer of DVC that stands for a path, or for a folder that it lies in."""
        if self.commit is not None:
            known = self.pointers
        else:
            known = []
            for part in (Path(path), *Path(path).parents):
                name = f"{part}{pointers.ENDING}"
                if pointers.is_pointer(name) and Path(name).is_file():
                    known += pointers.parse(name, self.text(name) or "", self.label)
        for pointer in known:
            if path == pointer.path or path.startswith(f"{pointer.path}/"):
                return pointer
        return None

    def content(self, path: str) -> bytes | None:
        """Return the bytes of a file that git keeps (workspace: that lies here), or None.

        Raises GitError where git keeps it, and cannot read it.
        """
        if self.commit is not None:
            blob = self.files.get(path)
            return None if blob is None else git.read("cat-file", "blob", blob)
        if Path(path).is_file():
            return Path(path).read_bytes()
        return None

    def text(self, path: str) -> str | None:
        """Return a text file that git keeps (workspace: that lies here), or None where there is none.

        Raises InputError for conflict markers, and for a file that is not UTF-8.
        """
        content = self.content(path)
        if content is None:
            return None
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            raise InputError(f"{path} of {self.label}: not UTF-8; save it as UTF-8") from None
        marker = CONFLICT.search(text)
        if marker is None:
            return text
        line = text.count("\n", 0, marker.start()) + 1
        remedy = "finish the merge"
        if path == LOCK:
            remedy = "take one side (git checkout --ours dvc.lock), then run dvc repro"
        raise InputError(
            f"{path} of {self.label}, line {line}: conflict markers of a merge; {remedy}"
        )

    def document(self, path: str) -> Any:
        """Return a parsed YAML or JSON file, or None where there is none.

        Raises InputError where it cannot be parsed.
        """
        text = self.text(path)
        if text is None:
            return None
        # Every JSON file is YAML too, but the YAML parser takes ten times as long.
        form = "JSON" if path.endswith(".json") else "YAML"
        try:
            if form == "JSON":
                return json.loads(text)
            return YAML(typ="safe").load(text)
        except NO_YAML as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path} of {self.label}: not readable as {form}: {reason}") from None

    @functools.cached_property
    def stages(self) -> dict[str, Any]:
        """Stage → its entry in dvc.lock. Empty where there is no dvc.lock.

        Raises InputError as `document` does.
        """
        lock = self.document(LOCK)
        if lock is None:
            return {}
        stages = lock.get("stages") if isinstance(lock, dict) else {}
        if not isinstance(stages, dict):
            raise InputError(
                f"{LOCK} of {self.label}: not a dvc.lock; git checkout it from another version, "
                "or run dvc repro"
            )
        return stages

    @functools.cached_property
    def outs(self) -> dict[str, str]:
        """Path → hash of every output in dvc.lock."""
        hashes = {}
        for stage in self.stages.values():
            for out in stage.get("outs", []):
                if "md5" in out:
                    hashes[out["path"]] = str(out["md5"])
        return hashes

    @functools.cached_property
    def cache(self) -> Cache:
        """The cache of the project in this folder."""
        return Cache()

    def has(self, folder: str) -> bool:
        """Whether this version has an output folder: in its dvc.lock, or on disk in the workspace."""
        if folder in self.outs:
            return True
        return self.commit is None and Path(folder).is_dir()

    def demand(self, paths: Sequence[str]) -> None:
        """Raise InputError naming every one of these files that is neither here nor in the cache.

        `paths` are files of output folders, such as data/clean/records.parquet.
        """
        if self.commit is None:
            missing = [path for path in paths if not Path(path).is_file()]
            listed = missing
            where = "in this folder"
        else:
            absent = list(self.absent(paths))
            missing = [path for path, _ in absent]
            listed = [f"{path} ({digest})" for path, digest in absent]
            where = f"in DVC's cache ({self.cache.folder})"
        if not missing:
            return
        folders = " ".join(sorted({str(Path(path).parent) for path in missing}))
        if self.commit is None:
            remedy = (
                f"bring them back with dvc checkout {folders} or dvc pull {folders}, "
                "or make them with dvc repro"
            )
        elif self.commit == git.read_text("rev-parse", "HEAD"):
            # Nothing has to be checked out: this commit is the one that is checked out.
            remedy = f"dvc fetch {folders}, where a remote is set; else make them with dvc repro"
        else:
            remedy = (
                f"dvc fetch --all-commits {folders}, where a remote is set; "
                f"else git checkout --detach {self.name}, and dvc repro there"
            )
        raise InputError(f"{self.label}: not {where}: {', '.join(listed)}; {remedy}")

    def holds(self, path: str) -> bool:
        """Whether a file of an output folder can be read."""
        if self.commit is None:
            return Path(path).is_file()
        return not list(self.absent([path]))

    def absent(self, paths: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Yield each file that the cache lacks, with the missing hash: its own or its folder's."""
        for path in paths:
            folder, name = str(Path(path).parent), Path(path).name
            # Where a hash is unknown, words stand for it. No object of the cache has such a name.
            digest = self.outs.get(folder, "no hash in dvc.lock")
            if self.cache.has(digest):
                what = f"the list of {folder} of {self.label}"
                listing = self.cache.listing(digest, what)
                digest = listing.get(name, f"not in {folder}")
            if not self.cache.has(digest):
                yield path, digest

    def table(self, path: str, columns: Sequence[str]) -> "pa.Table":
        """Return columns of a Parquet file.

        Raises InputError where the file is missing or corrupted, or lacks a column.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        what = f"{path} of {self.label}"
        content = self.output(path)
        try:
            file = pq.ParquetFile(pa.BufferReader(content))
            names_in_file = set(file.schema_arrow.names)
            lacking = sorted(set(columns) - names_in_file)
            table = None
            if not lacking:
                table = file.read(columns=list(columns))
                # What pandas noted of its own types is not needed, and a flipped bit in it makes
                # pandas raise anything, later than here.
                table = in_known_types(table.replace_schema_metadata(None))
                # A flipped bit may leave texts that are no UTF-8, which is seen here and not later.
                table.validate(full=True)
        except Exception as error:  # whatever a damaged file makes the library raise
            reason = " ".join(str(error).split())
            raise InputError(
                f"{what}: not a Parquet file ({reason}); make it again with dvc repro"
            ) from None
        if table is None:
            raise InputError(
                f"{what}: no column {', '.join(lacking)}; it was written by another Lorekeep: "
                "run dvc repro there"
            )
        return table

    def output_document(self, path: str) -> Any:
        """Return a parsed JSON file of an output folder. Raises InputError where it is no JSON."""
        content = self.output(path)
        try:
            return json.loads(content)
        except ValueError as error:
            raise InputError(
                f"{path} of {self.label}: not readable as JSON: {error}; make it again with "
                "dvc repro"
            ) from None

    def digest_of_output(self, path: str) -> str:
        """Return the hash of a file of an output folder: as dvc.lock has it, or of what lies here.

        Raises InputError where it is missing, or where the list of its folder is damaged.
        """
        self.demand([path])
        if self.commit is None:
            return md5_of_file(Path(path))
        folder, name = str(Path(path).parent), Path(path).name
        what = f"the list of {folder} of {self.label}"
        return self.cache.listing(self.outs[folder], what)[name]

    def output(self, path: str) -> bytes:
        """Return the bytes of a file of an output folder. From the cache, its hash is checked.

        Raises InputError where it is missing or corrupted.
        """
        self.demand([path])
        if self.commit is None:
            return Path(path).read_bytes()
        # dvc.lock has the hash of the folder. The object of that hash lists the folder's files.
        folder, name = str(Path(path).parent), Path(path).name
        what = f"the list of {folder} of {self.label}"
        listing = self.cache.listing(self.outs[folder], what)
        return self.cache.read(listing[name], f"{path} of {self.label}")

    def doubts(self, read: Sequence[str]) -> list[str]:
        """Return why this version may not be the result of one whole run, one line per reason.

        `read` are the outputs that the caller reads.
        """
        return [*self.edited(read), *self.outrun(), *self.unset(), *self.redeclared()]

    def edited(self, read: Sequence[str]) -> Iterator[str]:
        """Yield a line naming the inputs that differ from dvc.lock, and outputs on disk in `read`.

        Of a commit these are the inputs that were committed and never run.
        """
        changed = []
        where = "committed"
        if self.commit is None:
            where = "on disk"
            changed = self.changed_outputs(read)
        changed += inputs.edited(self)
        if changed:
            yield (
                f"{where}, not as in {LOCK}: {', '.join(changed)}; "
                "dvc repro brings the version up to date"
            )

    def changed_outputs(self, read: Sequence[str], most: int | None = None) -> list[str]:
        """Return those of the outputs on disk that differ from dvc.lock.

        One of more than `most` bytes is compared by its size alone.
        """
        changed = []
        for stage in self.stages.values():
            for out in stage.get("outs", []):
                if out["path"] in read and inputs.edited_on_disk(out, most):
                    changed.append(out["path"])
        return changed

    def redeclared(self) -> Iterator[str]:
        """Yield a line naming what dvc.yaml declares otherwise than the run that dvc.lock records."""
        if not self.stages:
            return
        changed = inputs.redeclared(self)
        if changed:
            yield (
                f"dvc.yaml, not as in {LOCK}: {', '.join(changed)}; "
                "dvc repro brings the version up to date"
            )

    def outrun(self) -> Iterator[str]:
        """Yield a line for each stage whose inputs were made again after it ran."""
        for name, stage in self.stages.items():
            if name == "register":  # its output is an entry of a registry, which is not compared
                continue
            old = []
            for dep in stage.get("deps", []):
                path = dep["path"]
                if path in self.outs and str(dep.get("md5")) != self.outs[path]:
                    old.append(path)
            if old:
                yield f"{name} ran on another {', '.join(old)} than {LOCK} has: run dvc repro"

    def unset(self) -> Iterator[str]:
        """Yield a line naming the settings of params.yaml that changed after the run."""
        now = self.document(PARAMS) or {}
        changed: dict[str, None] = {}
        for stage in self.stages.values():
            recorded = stage.get("params", {}).get(PARAMS, {})
            for name, was in recorded.items():
                if value(now, name) != was:
                    changed[name] = None
        if changed:
            yield (
                f"{PARAMS}, not as in {LOCK}: {', '.join(changed)}; "
                "dvc repro brings the version up to date"
            )


def in_known_types(table: "pa.Table") -> "pa.Table":
    """Return a table with all its texts in one type, whichever type their writer gave them.

    Raises TypeError for a column that holds no texts, lists of texts, or yes and no. No table that
    is read here has one, so it is damaged.
    """
    import pyarrow as pa

    texts = (pa.string(), pa.large_string(), pa.null())
    others = (pa.bool_(), pa.list_(pa.string()))
    fields = []
    for field in table.schema:
        is_text = field.type in texts or pa.types.is_dictionary(field.type)
        if not is_text and field.type not in others:
            raise TypeError(f"the column {field.name} is of the type {field.type}")
        fields.append(field.with_type(pa.string()) if is_text else field)
    return table.cast(pa.schema(fields))


def workspace() -> Version:
    """Return the version of the files as they lie in this folder."""
    return Version("workspace", None)


def revision(name: str) -> Version:
    """Return the version that a name means, by the rule of lore.versions.names.

    Raises InputError where there is none, GitError where git cannot say.
    """
    resolved = names.resolve(name)
    if resolved is not None:
        return at_commit(*resolved)
    if git.read("rev-parse", "--git-dir") is None:
        raise InputError("no git repository here; run from the project's root folder")
    two = names.RANGE.fullmatch(name)
    if two and (two["left"] or two["right"]):
        raise InputError(f"{name}: this names two versions; only lore diff compares two")
    if names.FORM.fullmatch(name):
        name = names.tag_of(name)
    near = difflib.get_close_matches(name, names.known_names(), n=1)
    hint = f"did you mean {near[0]}? Otherwise " if near else ""
    raise InputError(
        f"{name}: no such revision; {hint}give a branch, a tag or a commit, "
        "as git branch --all, git tag and git log list them; git fetch brings those of a remote"
    )


def at_commit(name: str, commit: str) -> Version:
    """Return the version of a commit. `name` is how people call it."""
    short = git.read_text("rev-parse", "--short", commit)
    return Version(name, commit, short or commit)


def merge_base(a: Version, b: Version) -> Version:
    """Return the newest common ancestor of two versions.

    Raises InputError where there is none, or where a shallow clone does not reach so far.
    """
    commit = git.read_text("merge-base", str(a.commit), str(b.commit))
    if commit is None:
        reason = "they grew from no common commit"
        if git.is_shallow():
            reason = "the history is cut, since this clone is shallow; git fetch --unshallow"
        raise InputError(f"{a.label} and {b.label}: no common ancestor here: {reason}")
    return at_commit(f"common ancestor of {a.name} and {b.name}", commit)
