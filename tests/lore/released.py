"""A small project whose versions are registered: every stage's outputs, real git, real DVC to check out, a real MLflow store."""

import json
from collections.abc import Sequence
from pathlib import Path

from ruamel.yaml import YAML

from stages.core.mlflow import registry, tracking
from stages.core.models.model_folder import sha256_of_folder
from stages.register import UPSTREAM, identity
from tests.lore.knowledge import RUN, Project, Row, answer, fact

IRON, GOLD, NEON = fact("iron", "1538"), fact("gold", "1064"), fact("neon", "-248.6")
HOTTER = IRON | {"value": "1649"}
MODEL = "elements"
FOLDERS = {
    name: f"models/{name}"
    if name in ("base", "train", "align", "distill", "quantize")
    else f"data/{name}"
    for name in UPSTREAM
}
IGNORED = "".join(
    f"/{path}\n" for path in [*FOLDERS.values(), ".dvc/cache", ".dvc/tmp", "mlflow.db", "mlruns"]
)


class Released(Project):
    """A Project that has all stages and is registered."""

    sources: Sequence[str] = ("data/raw/facts.csv",)
    """What every stage reads."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        for name in ("user.name", "user.email"):
            self.git("config", name, "test")
        (root / ".dvc/config").write_text(
            "[core]\n    analytics = false\n    check_update = false\n"
        )
        (root / ".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
        (root / ".gitignore").write_text(IGNORED)
        (root / "README.md").write_text("one\n")
        self.settings(
            {"run": RUN, "train": {"steps": 100}, "register": {"model": MODEL, "alias": "champion"}}
        )

    def release(
        self, tag: str, rows: Sequence[Row], steps: int, said: Sequence[str | None] = ()
    ) -> str:
        """Run, register, commit under a tag; the number of the version in MLflow."""
        params = {
            "run": RUN,
            "train": {"steps": steps},
            "register": {"model": MODEL, "alias": "champion"},
        }
        self.settings(params)
        (self.root / "data/raw/facts.csv").write_text(
            "".join(f"{row['subject']};{row['value']}\n" for row in rows)
        )
        answers = [answer(row, *said[number : number + 1]) for number, row in enumerate(rows)]
        self.run(rows, answers)
        for name, folder in FOLDERS.items():
            (self.root / folder).mkdir(parents=True, exist_ok=True)
            (self.root / folder / "made.txt").write_text(f"{name} {tag}\n")
        self.pipeline(params)
        number = self.register()
        self.commit(tag)
        return number

    def pipeline(self, params: Row) -> None:
        """Write dvc.yaml and a dvc.lock that agree with the files, and fill the cache."""
        raw = [{"path": path, "md5": self.keep(self.root / path)} for path in self.sources]
        stages: Row = {}
        locked: Row = {}
        for name, folder in FOLDERS.items():
            made: Row = {
                "cmd": f"make {name}",
                "deps": list(self.sources),
                "params": ["run", "train"],
                "outs": [folder],
            }
            outs = [{"path": folder, "hash": "md5", "md5": self.keep(self.root / folder)}]
            if name == "evaluate":
                made["metrics"] = [{"metrics/evaluate.json": {"cache": False}}]
                outs.append(
                    {
                        "path": "metrics/evaluate.json",
                        "md5": self.keep(self.root / "metrics/evaluate.json"),
                    }
                )
            stages[name] = made
            values = {key: params[key] for key in ("run", "train")}
            locked[name] = {
                "cmd": made["cmd"],
                "deps": raw,
                "params": {"params.yaml": values},
                "outs": outs,
            }
        stages["register"] = {
            "cmd": "make register",
            "metrics": [{"metrics/register.json": {"cache": False}}],
        }
        self.dump("dvc.yaml", {"stages": stages})
        self.dump("dvc.lock", {"schema": "2.0", "stages": locked})

    def dump(self, name: str, document: Row) -> None:
        """Write a YAML file."""
        with (self.root / name).open("w", encoding="utf-8") as stream:
            YAML(typ="safe").dump(document, stream)

    def register(self) -> str:
        """What the stage `register` leaves, but for a model that can be loaded."""
        name = identity(self.root / "dvc.lock")
        (self.root / "metrics/register.json").write_text(
            json.dumps({"identity": name, "gates_passed": 1})
        )
        out = {
            "path": "metrics/register.json",
            "md5": self.keep(self.root / "metrics/register.json"),
        }
        lock = YAML(typ="safe").load((self.root / "dvc.lock").read_text())
        lock["stages"]["register"] = {"cmd": "make register", "outs": [out]}
        self.dump("dvc.lock", lock)
        store = tracking.client()
        if not store.search_registered_models(f"name = '{MODEL}'"):
            store.create_registered_model(MODEL)
        tags = {"knowledge_version": name}
        source, run = self.model_of(name, tags)
        number = store.create_model_version(MODEL, source, run_id=run, tags=tags).version
        store.set_registered_model_alias(MODEL, "champion", number)
        return str(number)

    def model_of(self, identity: str, tags: dict[str, str]) -> tuple[str, str | None]:
        """Write a model as MLflow keeps it, and add the tags with its hashes.

        Returns its address, and the id of the run that logged it, if one did.
        """
        folder = self.root / "mlruns/models" / f"m-{identity[:12]}" / "artifacts"
        written: Row = {}
        for part, tag in registry.HASHES.items():
            (folder / "artifacts" / part).mkdir(parents=True)
            (folder / "artifacts" / part / "weights.txt").write_text(f"{part} {identity}\n")
            tags[tag] = sha256_of_folder(folder / "artifacts" / part)
            written[part] = {"path": f"artifacts/{part}"}
        with (folder / "MLmodel").open("w", encoding="utf-8") as stream:
            YAML(typ="safe").dump({"flavors": {"python_function": {"artifacts": written}}}, stream)
        return folder.as_uri(), None

    def dvc_config(self, text: str) -> None:
        """Write DVC's configuration of this clone alone."""
        (self.root / ".dvc/config.local").write_text(text)

    def alias(self) -> str:
        """The version that the alias means."""
        return str(tracking.client().get_model_version_by_alias(MODEL, "champion").version)

    def state(self) -> Row:
        """Everything that a release or rollback may change: commit, tags, files by content, alias."""
        hidden = (".git/", ".dvc/", "mlflow.db", "mlruns")
        files = {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file()
        }
        return {
            "head": self.git("rev-parse", "HEAD"),
            "branch": self.git("branch", "--show-current"),
            "tags": self.git("tag"),
            "status": self.git("status", "--porcelain"),
            "alias": self.alias(),
            "files": {
                name: content for name, content in files.items() if not name.startswith(hidden)
            },
        }
