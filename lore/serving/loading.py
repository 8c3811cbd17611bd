"""From a version to a generation: its files are laid out, its engine loaded, its canaries asked."""

import json
import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any

from lore.serving import canaries, versions
from lore.serving.engines.engine import Engine, StatsSink
from lore.serving.generations import Generation
from lore.serving.knowledge import Knowledge
from lore.serving.reading import Reader
from lore.serving.schemas import VersionInfo
from lore.serving.settings import Settings
from lore.serving.versions import Target
from stages.core.models import variants
from stages.core.models.conversation import load_tokenizer
from stages.core.project import artifacts
from stages.core.project.errors import InputError

LOG = logging.getLogger("lore.serving")
CONTEXT = 2048
"""Longest context in tokens of a model whose config does not say one."""


class Loader:
    """Loads generations, one after another."""

    def __init__(self, settings: Settings, threads: int, stats: StatsSink) -> None:
        self._settings = settings
        self._threads = threads
        self._stats = stats
        self._last = 0

    def load(self, target: Target) -> Generation:
        """Return a version as a generation whose canaries were answered right.

        Raises InputError or ModelError where its files are missing or damaged, or a canary is wrong.
        """
        settings = self._settings
        lock = versions.lock_bytes()
        private = Path(tempfile.mkdtemp(prefix="lore-serve-"))
        engine: Engine | None = None
        try:
            root = versions.laid_out(target, settings.variant, private)
            known = canaries.recorded(root, settings.variant, settings.canaries)
            least = None
            if settings.abstain:
                least = variants.least_confidence(settings.variant, root)
            knowledge = Knowledge(root, self._threads, settings.least)
            parts = folders(root, settings.variant)
            tokenizer = load_tokenizer(parts["folder"])
            reader = Reader(tokenizer, parts["folder"])
            engine = self._engine(root, parts)
            if known:
                asked = [question for question, _ in known]
                most = settings.limits.answer_tokens
                answers = canaries.ask(engine, tokenizer, reader, asked, most)
                canaries.require_right(known, answers, settings.canary_share, target.name)
            else:
                LOG.warning(
                    "%s: no recorded answers of the variant %s, so no canary was asked",
                    target.name,
                    settings.variant,
                )
            if versions.changed_while_loading(target, lock):
                raise InputError(
                    f"{artifacts.LOCK_FILE} changed while the version was loaded; "
                    "wait until dvc repro or dvc checkout has ended, then start again"
                )
        except BaseException:
            if engine is not None:
                engine.close()
            raise
        finally:
            # The engine holds the open files.
            shutil.rmtree(private, ignore_errors=True)
        self._last += 1
        info = VersionInfo(
            name=target.name,
            tag=target.tag,
            commit=versions.commit_of(target),
            identity=target.identity,
            generation=self._last,
        )
        context = context_of(parts["folder"]) if parts["folder"].is_dir() else CONTEXT
        return Generation(
            info, settings.variant, engine, tokenizer, reader, knowledge, context, least
        )

    def _engine(self, root: Path, parts: dict[str, Any]) -> Engine:
        settings = self._settings
        limits = settings.limits
        folder: Path = parts["folder"]
        adapter: Path | None = parts.get("adapter")
        export = root / versions.EXPORT
        if settings.engine == "genai" or self._takes_genai(export):
            from lore.serving.engines.genai import GenaiEngine, folder_of

            exported = folder_of(export, settings.variant)
            return GenaiEngine(exported, limits.batch, self._stats)
        if settings.engine == "vllm":
            from lore.serving.engines.vllm import VllmEngine

            assert settings.vllm_url is not None  # the command line demands it
            model = settings.vllm_model
            return VllmEngine(settings.vllm_url, model, adapter, limits.seconds)
        from lore.serving.engines.pytorch import TorchEngine

        return TorchEngine(folder, adapter, limits.batch, self._stats, self._threads)

    def _takes_genai(self, export: Path) -> bool:
        """Return whether the engine `auto` is genai for a version. It does not tell how sure the model is."""
        from lore.serving.engines.genai import is_at_hand

        if self._settings.engine != "auto" or self._settings.abstain:
            return False
        return is_at_hand(export, self._settings.variant)


def folders(root: Path, variant: str) -> dict[str, Any]:
    """Return what `load_causal_lm` takes for a variant of the version below `root`.

    Raises ModelError where the version has no such variant.
    """
    found = variants.folders(
        root / artifacts.BASE,
        root / artifacts.TRAIN,
        root / artifacts.ALIGN,
        root / artifacts.DISTILL,
        root / artifacts.QUANTIZE,
    )
    if variant not in variants.present(found):
        variants.require_present(variant)
    return found[variant]


def context_of(folder: Path) -> int:
    """Return the longest context of a model in tokens, by its config.json."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    text = config.get("text_config") or config
    return int(text.get("max_position_embeddings") or CONTEXT)
