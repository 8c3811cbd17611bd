"""A training run that is killed goes on from its last checkpoint, and ends with the same bytes.

Checkpoints lie below `checkpoints/<stage>` of the memo's folder, which is no output and no dependency. It
may be deleted at any time: then the run begins anew, and its outputs have the same bytes, later. A run's
folder is named by the hash of everything that decides the run (`key`). So a run with other settings, data,
code, libraries or kernels finds no checkpoint.

A checkpoint is one safetensors file. It holds the trained weights, those of the best step so far, the
optimizer's state and the curve as tensors. The rest stands as JSON in the file's metadata: the Trainer's
state, schedule, early stopping, random numbers. Nothing is pickled. The file is written under a temporary
name, then renamed. It holds a checksum of its content. A damaged file is named, removed and counted, and the
one before is taken.

The Trainer's own resume (transformers 5.23) is not exact: it shuffles the rows of a resumed epoch anew, and
loses the losses since the last log. `Resumable` therefore keeps two states of the random numbers, of now and
of the beginning of the epoch. It draws the epoch's order from the older one, skips the rows that were seen,
and goes on from the newer one.

DeepSpeed keeps weights and optimizer in its engine, so a run with DeepSpeed has no checkpoints here.
"""

import dataclasses
import fcntl
import hashlib
import json
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled
from transformers.trainer_callback import ExportableState, TrainerState

from stages.core.models.training import Curve, StepTrainer, mean_of_processes, of_first_process
from stages.core.project.params import Run
from stages.core.repeatable import fingerprint, memo

Tensors = dict[str, torch.Tensor]
KEPT = 2
"""Number of checkpoints that a run keeps. The older one serves where the newer one is damaged."""
TRAINER_STATE = "trainer_state.json"
"""The file in which the Trainer looks for its state."""
UNREADABLE = (OSError, SafetensorError, ValueError, KeyError)
"""What reading a damaged checkpoint raises."""


def key(stage: str, params: Any, run: Run, inputs: Iterable[str]) -> str:
    """Return the hash of everything that decides a run of the stage.

    `inputs` are hashes of what the stage reads. The code, its libraries and the kernels are part of it
    (`fingerprint`). `checkpoint_every` is not, since it changes no byte.
    """
    settings = dataclasses.asdict(params)
    settings.pop("checkpoint_every", None)
    of_run = [run.seed, run.threads, run.isa, run.device]
    content = [fingerprint.of(f"stages.{stage}"), settings, of_run, list(inputs)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@dataclass(frozen=True)
class Checkpoint:
    """A run after so many steps."""

    step: int
    tensors: Tensors
    """Names are `weights/<name>`, `best/<name>`, `optimizer/<index>/<key>`, `curve/<name>`, `random/<name>`."""
    state: dict[str, Any]
    """Everything else, as JSON values."""

    def below(self, prefix: str) -> Tensors:
        """Return the tensors whose names begin with `<prefix>/`, without it."""
        found = {}
        for name, tensor in self.tensors.items():
            first, _, rest = name.partition("/")
            if first == prefix:
                found[rest] = tensor
        return found


class Store:
    """The checkpoints of one run."""

    def __init__(self, stage: str, run_key: str) -> None:
        """`run_key` is what `key` returns."""
        self.stage = stage
        self.folder = memo.folder() / "checkpoints" / stage / run_key[:32]
        self.damaged = 0
        """Number of damaged files found so far."""

    def steps(self) -> list[Path]:
        """Return the files of the checkpoints, the oldest first."""
        return sorted(self.folder.glob("step-*.safetensors"))

    def newest(self) -> Checkpoint | None:
        """Return the newest checkpoint that is whole, or None."""
        for path in reversed(self.steps()):
            found = self._read(path)
            if found is not None:
                tensors, state = found
                return Checkpoint(state["step"], tensors, state)
        return None

    def save(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint, and remove all but the newest ones."""
        name = f"step-{checkpoint.step:08d}.safetensors"  # the names sort by step
        state = checkpoint.state | {"step": checkpoint.step}
        self._write(self.folder / name, checkpoint.tensors, state)
        for path in self.steps()[:-KEPT]:
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def remembered(self, name: str, compute: Callable[[], Tensors]) -> Tensors:
        """Return what `compute` returns, computed only where a killed run has not stored it.

        For what is measured before the first step. The tensors must depend on the run's key alone.
        """
        path = self.folder / f"{name}.safetensors"
        found = self._read(path) if is_first() and path.is_file() else None
        # All processes compute it, or none: a spread model computes in all at the same time.
        found = of_first_process(found)
        if found is not None:
            return found[0]
        tensors = compute()
        if is_first():
            self._write(path, tensors, {})
        return tensors

    def clear(self) -> None:
        """Remove everything: the run is done."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, path: Path, tensors: Tensors, state: dict[str, Any]) -> None:
        # safetensors takes neither views nor two tensors that share their memory.
        plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        text = json.dumps(state)
        metadata = {"state": text, "sha256": digest(plain, text)}
        memo.keep(path, lambda temporary: save_file(plain, temporary, metadata))

    def _read(self, path: Path) -> tuple[Tensors, dict[str, Any]] | None:
        """Read a file. A damaged one is named, counted and removed."""
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
            tensors = load_file(path)
            if digest(tensors, metadata["state"]) != metadata["sha256"]:
                raise ValueError("its checksum is wrong")
            return tensors, json.loads(metadata["state"])
        except UNREADABLE as error:
            self.damaged += 1
            if is_first():
                print(
                    f"{self.stage}: {path} is damaged ({error}) and left out; damaged so far: {self.damaged}",
                    file=sys.stderr,
                )
                with suppress(OSError):
                    path.unlink(missing_ok=True)
            return None


def digest(tensors: Tensors, state: str) -> str:
    """Return the SHA-256 over names, types, shapes and bits of tensors on the CPU, and over a text."""
    found = hashlib.sha256(state.encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"\0{name}\0{tensor.dtype}\0{list(tensor.shape)}\0".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def is_first() -> bool:
    """Return whether this process is the one that writes, where several share a run."""
    return os.environ.get("RANK", "0") == "0"


class Resumable(StepTrainer):
    """A Trainer that keeps checkpoints and goes on from the newest one.

    The model's best weights are kept as tensors beside the Trainer's folder, and loaded at the end.
    """

    def __init__(self, *, store: Store, every: int, curve: Curve, **settings: Any) -> None:
        """`every` is the number of steps between checkpoints; `settings` are those of the Trainer."""
        super().__init__(**settings)
        self.store = store
        self.every = every
        self.curve = curve
        self.saved_step = 0
        self.checkpoint: Checkpoint | None = None
        """The checkpoint from which this run goes on, until it has been taken over."""
        self.epoch_start: dict[str, Any] = {}
        """The state of the random numbers at the beginning of the epoch."""
        self.add_callback(_Resuming(self))

    @property
    def best_file(self) -> Path:
        """The file with the best weights so far. It lies in the run's temporary folder."""
        return Path(str(self.args.output_dir)) / "best.safetensors"

    def train(self, *arguments: Any, **settings: Any) -> Any:
        """Train from the newest checkpoint, or from the beginning where there is none."""
        if self.is_deepspeed_enabled:
            return super().train(*arguments, **settings)
        # The other processes may run on machines that do not see the folder.
        self.checkpoint = of_first_process(self.store.newest() if is_first() else None)
        if self.checkpoint is None:
            return super().train(*arguments, **settings)
        if is_first():
            print(
                f"{self.store.stage}: goes on from step {self.checkpoint.step} of {self.args.max_steps}, "
                f"the last checkpoint in {self.store.folder}"
            )
        self.saved_step = self.checkpoint.step
        folder = Path(str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        best = self.checkpoint.below("best")
        state = dict(self.checkpoint.state["trainer"])
        state["best_model_checkpoint"] = None
        if best:
            save_file(best, self.best_file)
            state["best_model_checkpoint"] = str(folder)
        (folder / TRAINER_STATE).write_text(json.dumps(state), encoding="utf-8")
        return super().train(resume_from_checkpoint=str(folder))

    def keep(self) -> None:
        """Keep a checkpoint of the run as it is now."""
        tensors: Tensors = {}
        for name, weight in trained(self.model):
            tensors[f"weights/{name}"] = weight
        if self.best_file.is_file():
            for name, weight in load_file(self.best_file).items():
                tensors[f"best/{name}"] = weight
        optimizer = self.optimizer.state_dict()
        plain: dict[str, dict[str, Any]] = {}
        for index, values in optimizer["state"].items():
            for name, value in values.items():
                if isinstance(value, torch.Tensor):
                    tensors[f"optimizer/{index}/{name}"] = value
                else:
                    plain.setdefault(str(index), {})[name] = value
        self.curve.add_up()
        for name, values in self.curve.tensors().items():
            tensors[f"curve/{name}"] = values

        trainer = json.loads(_as_json(self.state))
        trainer["stateful_callbacks"] = {}  # they are in `callbacks`
        callbacks = {}
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, ExportableState):
                callbacks[type(callback).__name__] = callback.state()["attributes"]
        scaler = self.accelerator.scaler
        state = {
            "trainer": trainer,
            "callbacks": callbacks,
            "curve": {str(step): row for step, row in self.curve.rows.items()},
            "optimizer": {"param_groups": optimizer["param_groups"], "state": plain},
            "schedule": self.lr_scheduler.state_dict(),
            "scaler": scaler.state_dict() if scaler is not None else None,
            "losses": {
                # Each process has a part of it, and goes on with the mean.
                "since_log": float(mean_of_processes(self._tr_loss)),
                "total": self._total_loss_scalar,
                "logged": self._globalstep_last_logged,
            },
            # One entry for each process that shares the run.
            "random": of_all_processes(random_state()),
            "epoch_start": of_all_processes(self.epoch_start),
        }
        if is_first():
            self.store.save(Checkpoint(self.state.global_step, tensors, state))
        self.saved_step = self.state.global_step

    # What follows takes the place of methods of the Trainer.

    def _maybe_log_save_evaluate(self, *arguments: Any, **settings: Any) -> None:
        """Log and evaluate as the Trainer does, then keep a checkpoint where one is due."""
        super()._maybe_log_save_evaluate(*arguments, **settings)
        step = self.state.global_step
        is_due = step % self.every == 0 and step > self.saved_step
        # A run that stops now has no step left to go on with.
        if is_due and not self.control.should_training_stop and not self.is_deepspeed_enabled:
            self.keep()

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Keep the weights where this step is the best so far. The Trainer calls this after an evaluation.

        Each process keeps them, in a folder of its own.
        """
        if self.state.best_global_step == self.state.global_step:
            folder = Path(str(self.args.output_dir))
            folder.mkdir(parents=True, exist_ok=True)
            with self._whole_weights():
                weights = {
                    name: weight.detach().cpu().contiguous() for name, weight in trained(self.model)
                }
            save_file(weights, self.best_file)
            self.state.best_model_checkpoint = str(folder)

    def _load_best_model(self) -> None:
        """Give the model the weights of the best step."""
        with self._whole_weights(changed=True):
            take_over(self.model, load_file(self.best_file))

    def _whole_weights(self, changed: bool = False) -> AbstractContextManager[Any]:
        """Return a context in which trained weights that ZeRO's stage 3 has sharded are whole, to be read or changed."""
        if not is_deepspeed_zero3_enabled():
            return nullcontext()
        import deepspeed

        sharded = [weight for weight in self.model.parameters() if weight.requires_grad]
        whole: AbstractContextManager[Any] = deepspeed.zero.GatheredParameters(
            sharded, modifier_rank=0 if changed else None
        )
        return whole

    def _load_from_checkpoint(self, *_: Any, **__: Any) -> None:
        """Give the model the weights of the checkpoint."""
        assert self.checkpoint is not None
        take_over(self.model, self.checkpoint.below("weights"))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None or self.checkpoint is None:
            return
        kept = self.checkpoint.state["optimizer"]
        state: dict[int, dict[str, Any]] = {}
        for index, values in kept["state"].items():
            state[int(index)] = dict(values)
        for path, tensor in self.checkpoint.below("optimizer").items():
            index, _, name = path.partition("/")
            state.setdefault(int(index), {})[name] = tensor
        self.optimizer.load_state_dict({"state": state, "param_groups": kept["param_groups"]})
        self.lr_scheduler.load_state_dict(self.checkpoint.state["schedule"])

    def _load_scaler(self, checkpoint: str | None) -> None:
        if checkpoint is None or self.checkpoint is None:
            return
        if self.checkpoint.state["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(self.checkpoint.state["scaler"])

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Go on from the random numbers of the checkpoint. The Trainer calls this behind the skipped rows."""
        if checkpoint is None or self.checkpoint is None:
            return
        set_random_state(_own(self.checkpoint.state["random"]))
        self.checkpoint = None  # everything has been taken over


class _Resuming(TrainerCallback):
    """Takes over what the Trainer sets anew when it begins."""

    def __init__(self, trainer: Resumable) -> None:
        self.trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        trainer = self.trainer
        if trainer.checkpoint is None:
            return
        kept = trainer.checkpoint.state
        losses = kept["losses"]
        trainer._tr_loss.fill_(losses["since_log"])
        trainer._total_loss_scalar = losses["total"]
        trainer._globalstep_last_logged = losses["logged"]
        for callback in trainer.callback_handler.callbacks:
            attributes = kept["callbacks"].get(type(callback).__name__, {})
            for name, value in attributes.items():
                setattr(callback, name, value)
        rows = {int(step): row for step, row in kept["curve"].items()}
        trainer.curve.restore(rows, trainer.checkpoint.below("curve"), args.device)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Keep the random numbers from which the order of the epoch's rows is drawn."""
        trainer = self.trainer
        if trainer.checkpoint is not None:
            # Between two epochs the random numbers of the last step are those of the new epoch.
            between = float(state.epoch).is_integer()
            start = trainer.checkpoint.state["random" if between else "epoch_start"]
            set_random_state(_own(start))
        trainer.epoch_start = random_state()


def trained(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield name and value of every trained weight, sorted by name."""
    for name, weight in sorted(model.named_parameters(), key=lambda item: item[0]):
        if weight.requires_grad:
            yield name, weight.detach()


@torch.no_grad()
def take_over(model: Any, weights: Tensors) -> None:
    """Give the model's trained weights these values. Raises KeyError where one is missing."""
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            weight.copy_(weights[name])


def random_state() -> dict[str, Any]:
    """Return the state of all random numbers of this process as JSON values."""
    version, numbers, gauss = random.getstate()
    name, words, position, has_gauss, cached = np.random.get_state()
    state: dict[str, Any] = {
        "python": [version, list(numbers), gauss],
        "numpy": [name, np.asarray(words).tolist(), position, has_gauss, cached],
        "torch": torch.get_rng_state().numpy().tobytes().hex(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state().numpy().tobytes().hex()
    return state


def set_random_state(state: dict[str, Any]) -> None:
    """Set what `random_state` returned."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, words, position, has_gauss, cached = state["numpy"]
    legacy = (name, np.array(words, dtype=np.uint32), position, has_gauss, cached)
    np.random.set_state(legacy)
    torch.set_rng_state(_bytes_tensor(state["torch"]))
    if "cuda" in state:
        torch.cuda.set_rng_state(_bytes_tensor(state["cuda"]))


def _bytes_tensor(text: str) -> torch.Tensor:
    return torch.frombuffer(bytearray.fromhex(text), dtype=torch.uint8)


def of_all_processes(state: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the states of all processes that share the run, by rank."""
    if not torch.distributed.is_initialized():
        return [state]
    states: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(states, state)
    return states


def _own(states: list[dict[str, Any]]) -> dict[str, Any]:
    if not torch.distributed.is_initialized():
        return states[0]
    return states[torch.distributed.get_rank()]


def _as_json(state: TrainerState) -> str:
    """Return the Trainer's state as it saves it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / TRAINER_STATE
        state.save_to_json(str(path))
        return path.read_text(encoding="utf-8")


@contextmanager
def scratch(stage: str) -> Iterator[Path]:
    """Yield a temporary folder for token rows. Folders that killed runs of the stage left are removed.

    A folder is in use as long as its file `lock` is locked. The lock ends with the process.
    """
    prefix = f"lorekeep-{stage}-"
    for lock in Path(tempfile.gettempdir()).glob(f"{prefix}*/lock"):
        with suppress(OSError), lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # OSError: in use
            shutil.rmtree(lock.parent, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix) as name:
        folder = Path(name)
        # Locked before it has the name under which others look for it.
        with (folder / "lock.new").open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            (folder / "lock.new").rename(folder / "lock")
            yield folder
