"""align: the tuned model learns to be right or to abstain, by reinforcement.

In: the base, the adapter of train, the reward model, the records of augment. Out: `adapter/` (peft, safetensors: what train
and this stage learned, as one adapter for the base) and `manifest.json`; metrics `align.json`, and the curve
`align.csv`. The later stages go on from this adapter. With `method: null` nothing is aligned: the adapter is
that of train, byte for byte, and the manifest says `left_out`.

1. The model answers train questions by chance, once. What it gets right and wrong is noted.
2. A supervised start shows it how to abstain (`warmup.py`). Its effect is reported apart.
3. PPO (`ppo.py`, `training.py`) on questions about facts and about invented subjects, with the reward of
   facts, and with a weight that of the stage `reward` (`rewards.py`). The reference is the model after step 2, by
   disabling the adapter.

A budget for the divergence ends the run, and the last adapter within it is kept. Alarms (`alarms.py`) name
signs of a hacked reward. Docs: docs/alignment.md.

Refused: records without facts, adapters that cannot be joined (DoRA, fused experts).
"""

import csv
import json
import shutil
from dataclasses import field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from stages.align import adapters, asking
from stages.align.curve import COLUMNS
from stages.align.rewards import Asked, Worth, verdict_of
from stages.core.mlflow import tracking
from stages.core.models.causal_lm import generate, load_causal_lm
from stages.core.models.conversation import encode, prompt_text
from stages.core.models.model_folder import sha256_of_folder
from stages.core.models.variants import LEFT_OUT
from stages.core.project.errors import ModelError, ParamsError
from stages.core.project.output import replacing, write_json
from stages.core.project.params import STRICT, Run
from stages.core.records.abstention import PHRASES, Phrases
from stages.core.repeatable.seeding import derive, rng_for, seed_torch

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
Row = dict[str, Any]


@dataclass(frozen=True, config=STRICT)
class Reward:
    """What an answer is worth. Three numbers, not degrees: what is nearly right is wrong."""

    right: float = 1.0
    """A right answer in the learned form, or an abstention about a subject that no record knows."""
    abstained: float = 0.0
    """An abstention about a fact that the model knew before. Between `wrong` and `right`."""
    abstained_unsure: float = 0.2
    """An abstention about a fact that the model answered wrongly before. Higher makes it more careful."""
    wrong: float = -1.0
    """Everything else. Lower makes it more careful."""
    facts: Annotated[float, Field(ge=0)] = 1.0
    """Weight of these four numbers."""
    model: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the score of the stage `reward`, which lies in (-1, 1). 0: it is not asked. It judges form and
    preference, and no values, so a weight near that of `facts` invites answers that only look right."""


@dataclass(frozen=True, config=STRICT)
class Warmup:
    """The supervised start: a policy that never abstains is never rewarded for it."""

    questions: Count = 1024
    """Train questions that the model answers by chance, to see what it gets right."""
    unknown: Count = 600
    """Questions about invented subjects, which are answered by abstentions."""
    steps: Count = 50
    """Optimizer steps."""
    rows_per_batch: Count = 40
    """Questions per step. Three quarters as many of the base's own rows are kept beside
    them."""
    learning_rate: Positive = 0.001
    """Peak rate of AdamW."""


@dataclass(frozen=True, config=STRICT)
class Ppo:
    """Proximal policy optimization."""

    iterations: Annotated[int, Field(ge=0)] = 16
    """Rollouts, each followed by its updates. 0: the supervised start alone."""
    answers: Count = 64
    """Answers per rollout."""
    epochs: Count = 2
    """Passes over a rollout."""
    minibatch: Count = 32
    """Answers per update."""
    learning_rate: Positive = 0.0003
    """Rate of AdamW. At 1e-3, facts outside the rollouts were lost."""
    value_learning_rate: Positive = 0.003
    """Rate of the value head."""
    value_only: Annotated[int, Field(ge=0)] = 3
    """First iterations in which the value head alone learns."""
    discount: Share = 1.0
    """γ: how much a later reward counts."""
    smoothing: Share = 0.95
    """λ of the advantages. Lower trusts the value head more."""
    clip: Positive = 0.2
    """A ratio beyond 1 ± clip carries no further gradient."""
    value_clip: Positive = 0.2
    """The same for values."""
    value_weight: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the value loss."""
    entropy_weight: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the entropy, in nats per token. Higher keeps more chance in the answers."""
    clip_norm: Positive = 1.0
    """Longest gradient of an update."""


@dataclass(frozen=True, config=STRICT)
class Kl:
    """The divergence from the reference, in nats per answer."""

    weight: Annotated[float, Field(ge=0)] = 0.1
    """Penalty per nat, inside the reward."""
    target: Positive | None = None
    """The weight follows this divergence. null: it stays."""
    horizon: Count = 10000
    """Answers over which the weight may change by a factor of about e, with `target`."""
    budget: Positive | None = 2.0
    """PPO ends at a divergence above it, and the last adapter within it is kept. null: no budget."""


@dataclass(frozen=True, config=STRICT)
class Alarms:
    """Signs that a policy pleases the reward instead of the task. An alarm stops nothing."""

    every: Count = 10
    """Iterations between looks."""
    valid: Count = 96
    """Questions in valid wordings that are asked at each look."""
    valid_falls: Share = 0.05
    """Most that the right answers among them may fall while the reward rises."""
    length_drift: Positive = 0.3
    """Most that the mean length may change, as a share of it."""
    repeated_openings: Share = 0.2
    """Most that one opening may gain, as a share of the answers."""
    known_abstained: Share = 0.2
    """Most abstentions among the sampled answers about facts that the model knew."""


@dataclass(frozen=True, config=STRICT)
class Params:
    """How the model is aligned, and whether at all."""

    method: Literal["ppo"] | None = None
    """ppo: proximal policy optimization. null: the stage does nothing."""
    abstention: dict[str, str] = field(default_factory=lambda: dict(PHRASES))
    """What stands in place of the value where the model does not know it, by language."""
    unknown_share: Share = 0.25
    """Share of the questions of a rollout that are about subjects which no record knows."""
    rank: Count = 16
    """Rank of the adapter of each step. The adapter that is saved has the ranks of all steps together."""
    alpha: Count = 32
    """The adapter's output is scaled by `alpha / rank`."""
    max_new_tokens: Count = 48
    """Longest answer of a rollout, in tokens."""
    temperature: Positive = 0.4
    """The policy is softmax(logits / temperature). Lower is nearer to the greedy answers that people get.
    1 explores more, and a small model then gives so many wrong answers by chance that abstaining pays."""
    reward: Reward = field(default_factory=Reward)
    """What an answer is worth."""
    warmup: Warmup = field(default_factory=Warmup)
    """The supervised start."""
    ppo: Ppo = field(default_factory=Ppo)
    """The reinforcement."""
    kl: Kl = field(default_factory=Kl)
    """The divergence from the reference."""
    alarms: Alarms = field(default_factory=Alarms)
    """When a person should look."""


def problems(params: Params) -> list[str]:
    """Return a line for each setting that does not go with another one."""
    found = []
    reward = params.reward
    for name in ("abstained", "abstained_unsure"):
        value = getattr(reward, name)
        if not reward.wrong < value < reward.right:
            found.append(
                f"align.reward.{name}: {value} does not lie between wrong ({reward.wrong}) and right "
                f"({reward.right}), so abstaining would never or always pay; write a number between"
            )
    if not reward.facts and not reward.model:
        found.append(
            "align.reward: facts and model are both 0, so every answer is worth the same; write facts: 1.0"
        )
    if params.ppo.minibatch > params.ppo.answers:
        found.append(
            f"align.ppo.minibatch: {params.ppo.minibatch} is more than a rollout has; write at most "
            f"{params.ppo.answers} (align.ppo.answers)"
        )
    if not params.abstention:
        found.append(
            "align.abstention: empty; write a phrase for a language, such as {en: not known to me}"
        )
    for language, phrase in params.abstention.items():
        if not phrase.strip():
            found.append(
                f"align.abstention.{language}: empty; write what stands in place of the value"
            )
    return found


def run(
    params: Params,
    run: Run,
    base: Path,
    train: Path,
    reward: Path,
    augment: Path,
    out: Path,
    metrics: Path,
    curve: Path,
) -> None:
    """Align the tuned model into `out`, or leave it as it is."""
    wrong = problems(params)
    if wrong:
        raise ParamsError("\n  ".join(["params.yaml:", *wrong]))
    if not (train / "adapter" / "adapter_model.safetensors").is_file():
        raise ModelError(
            f"{train / 'adapter'}: no adapter here; make it with `dvc repro train` or fetch it with `dvc pull`"
        )
    if params.method is None:
        leave_out(train, out, metrics, curve)
        return
    adapters.check_stackable(train / "adapter")
    worth = worth_of(params.reward, reward, run.threads)
    seed_torch(run.seed, run.threads)
    with tracking.run("align", params) as log:
        align(params, run, base, train, augment, worth, out, metrics, curve, log)


def worth_of(settings: Reward, folder: Path, threads: int) -> Worth:
    """Return what an answer is worth, with the reward model in `folder` where it has a weight.

    Raises ModelError where it has one and there is none.
    """
    worth = Worth(**vars(settings))
    if not settings.model:
        return worth
    from stages.core.preference import scorer

    judge = scorer.load(folder, threads)
    return replace(worth, opinion=judge.reward)


def leave_out(train: Path, out: Path, metrics: Path, curve: Path) -> None:
    """Write the outputs of a run that aligns nothing: the adapter of train as it is, and an empty curve."""
    with replacing(out) as folder:
        shutil.copytree(train / "adapter", folder / "adapter")
        write_json(folder / "manifest.json", LEFT_OUT)
    write_json(metrics, LEFT_OUT)
    write_curve([], curve)
    print("align: left out, since align.method is null")


def align(
    params: Params,
    run: Run,
    base: Path,
    train: Path,
    augment: Path,
    worth: Worth,
    out: Path,
    metrics: Path,
    curve: Path,
    log: tracking.Log,
) -> None:
    """Take the three steps of the module's docstring, and write the outputs."""
    import torch

    from stages.align import training, warmup

    phrases = Phrases(params.abstention)
    records = asking.records_of(augment, "train")
    lines = (base / "replay.jsonl").read_text(encoding="utf-8").splitlines()
    own_texts = own_rows(lines, 4 * params.warmup.questions, run.seed)
    taken = asking.own_subjects(base) | asking.names_in(own_texts)
    looked_at = [
        asking.known(record, phrases)
        for record in asking.chosen(records, params.warmup.questions, run.seed, "align questions")
    ]
    unknown = asking.unknown(
        records, params.warmup.unknown, phrases, taken, run.seed, "align unknown"
    )
    valid_records = asking.chosen(
        asking.records_of(augment, "valid"), params.alarms.valid, run.seed, "align valid"
    )
    valid = [asking.known(record, phrases) for record in valid_records]

    like = train / "adapter"
    model, tokenizer = load_causal_lm(base / "model", like, merge=True, device=run.device)
    parts = [adapters.factors_of_file(like)]
    scale = params.alpha / params.rank

    # 1. What does it get right?
    generator = torch.Generator().manual_seed(derive(run.seed, "before") % 2**63)
    before = answers_by_chance(model, tokenizer, looked_at, params, generator)
    noted = with_knowledge(looked_at, before, phrases)
    of_valid = Exam(valid, phrases, params.max_new_tokens)
    report: Row = {"method": params.method, "before": of_valid.shares(model, tokenizer)}

    # 2. The supervised start.
    policy = adapters.fresh(
        model, like, params.rank, params.alpha, derive(run.seed, "warmup adapter") % 2**63
    )
    asked = [*noted, *unknown]
    lessons = warmup.lessons_of(asked, before + [""] * len(unknown), phrases, tokenizer)
    longest = int(getattr(model.config, "max_position_embeddings", 0) or 10**9)
    own = [row for row in encode(tokenizer, own_texts) if 2 <= len(row) <= min(longest, 256)]
    policy.train()
    warmup.train(
        policy,
        lessons,
        own,
        params.warmup.steps,
        params.warmup.rows_per_batch,
        params.warmup.learning_rate,
        params.ppo.clip_norm,
        tokenizer.pad_token_id,
        derive(run.seed, "warmup"),
        log.metric,
    )
    policy.eval()
    parts.append(adapters.factors_of_model(policy, scale))
    model = policy.merge_and_unload(safe_merge=True)
    report["warmup"] = of_valid.shares(model, tokenizer)

    # 3. PPO.
    policy = adapters.fresh(
        model, like, params.rank, params.alpha, derive(run.seed, "ppo adapter") % 2**63
    )
    outcome = training.run(
        policy,
        tokenizer,
        noted,
        unknown,
        lambda: of_valid.shares(policy, tokenizer)["right"],
        plan_of(params),
        phrases,
        worth,
        params.unknown_share,
        limits_of(params.alarms),
        derive(run.seed, "ppo"),
        log.metric,
    )
    parts.append(adapters.factors_of_model(policy, scale))
    report["ppo"] = of_valid.shares(policy, tokenizer)
    report |= {
        "updates_kept": outcome.kept,
        "stopped": outcome.stopped,
        "kl": last(outcome.rows, "kl"),
        "reward": last(outcome.rows, "reward"),
        "alarms": [alarm._asdict() for alarm in outcome.raised],
    }

    manifest = {
        "base_sha256": sha256_of_folder(base / "model"),
        "method": params.method,
        "abstention": params.abstention,
        "updates_kept": outcome.kept,
    }
    with replacing(out) as folder:
        adapters.save(parts, like, folder / "adapter")
        write_json(folder / "manifest.json", manifest)
    write_json(metrics, report)
    write_curve(outcome.rows, curve)
    log.table(samples(looked_at, before, policy, tokenizer, params), "samples.json")
    show(report, outcome.raised)


def own_rows(lines: list[str], most: int, seed: int) -> list[str]:
    """Return up to so many of the base's own texts, chosen by the seed, in the plain form of training."""
    from stages.core.models.training import Row as TrainingRow

    count = min(most, len(lines))
    drawn = rng_for(seed, "align own rows").sample(lines, count)
    return [TrainingRow.of(json.loads(line)).text for line in drawn]


def answers_by_chance(
    model: Any, tokenizer: Any, asked: list[Asked], params: Params, generator: Any
) -> list[str]:
    """Return one sampled answer for each question, in batches."""
    from stages.align import rollouts
    from stages.core.models.conversation import answer_of

    answers = []
    for start in range(0, len(asked), 4 * params.ppo.answers):
        part = [each.question for each in asked[start : start + 4 * params.ppo.answers]]
        written = rollouts.sampled(
            model, tokenizer, part, params.max_new_tokens, params.temperature, generator
        )
        answers += [answer_of(tokenizer, tokens) for tokens in written]
    return answers


def with_knowledge(asked: list[Asked], answers: list[str], phrases: Phrases) -> list[Asked]:
    """Return the questions, each with whether its answer was right."""
    noted = []
    for each, answer in zip(asked, answers, strict=True):
        right = verdict_of(each, answer, phrases) == "right"
        noted.append(each._replace(knew=right))
    return noted


class Exam:
    """Questions in valid wordings, which are never trained on here."""

    def __init__(self, asked: list[Asked], phrases: Phrases, max_new_tokens: int) -> None:
        """`asked` are the questions."""
        self._asked = asked
        self._phrases = phrases
        self._max_new_tokens = max_new_tokens

    def shares(self, model: Any, tokenizer: Any) -> dict[str, float]:
        """Return the shares of answers that are right, abstain and are wrong, without chance."""
        model.eval()
        prompts = [prompt_text(tokenizer, each.question) for each in self._asked]
        answers = generate(model, tokenizer, prompts, self._max_new_tokens, len(prompts))
        verdicts: list[str] = []
        for each, answer in zip(self._asked, answers, strict=True):
            verdicts.append(verdict_of(each, answer, self._phrases))
        number = len(verdicts)
        return {
            name: round(verdicts.count(name) / number, 4)
            for name in ("right", "abstained", "wrong")
        }


def plan_of(params: Params) -> Any:
    """Return the settings as `training` takes them."""
    from stages.align import ppo, training

    of_ppo = params.ppo
    weights = ppo.Weights(
        of_ppo.clip, of_ppo.value_clip, of_ppo.value_weight, of_ppo.entropy_weight
    )
    return training.Plan(
        iterations=of_ppo.iterations,
        answers=of_ppo.answers,
        epochs=of_ppo.epochs,
        minibatch=of_ppo.minibatch,
        learning_rate=of_ppo.learning_rate,
        value_learning_rate=of_ppo.value_learning_rate,
        value_only=of_ppo.value_only,
        discount=of_ppo.discount,
        smoothing=of_ppo.smoothing,
        weights=weights,
        kl_weight=params.kl.weight,
        kl_target=params.kl.target,
        kl_horizon=params.kl.horizon,
        kl_budget=params.kl.budget,
        clip_norm=of_ppo.clip_norm,
        max_new_tokens=params.max_new_tokens,
        temperature=params.temperature,
        watch_every=params.alarms.every,
    )


def limits_of(settings: Alarms) -> Any:
    """Return the settings as `alarms` takes them."""
    from stages.align import alarms

    return alarms.Limits(
        settings.valid_falls,
        settings.length_drift,
        settings.repeated_openings,
        settings.known_abstained,
    )


def last(rows: list[dict[str, float]], name: str) -> float | None:
    """Return the last value of a column, or None without a row."""
    return round(rows[-1][name], 4) if rows else None


SAMPLES = 20
"""Questions whose answers before and after go to MLflow."""


def samples(
    asked: list[Asked], before: list[str], model: Any, tokenizer: Any, params: Params
) -> Any:
    """Return a table of questions with a sampled answer before and the greedy answer after alignment."""
    import pandas as pd

    few = asked[:SAMPLES]
    prompts = [prompt_text(tokenizer, each.question) for each in few]
    after = generate(model, tokenizer, prompts, params.max_new_tokens, SAMPLES)
    rows = []
    for each, earlier, later in zip(few, before, after, strict=False):
        rows.append({"question": each.question, "before": earlier, "after": later})
    return pd.DataFrame(rows, columns=["question", "before", "after"])


def write_curve(rows: list[dict[str, float]], path: Path) -> None:
    """Write the curve as CSV. A number that was not measured in an iteration is empty."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            written = {name: f"{value:.4f}" for name, value in row.items()}
            writer.writerow(written | {"iteration": int(row["iteration"])})


def show(report: Row, alarms: list[Any]) -> None:
    """Print what came of it, on one screen."""
    print("align: valid wordings, without chance   right   abstained   wrong")
    for name, meaning in (("before", "before"), ("warmup", "supervised start"), ("ppo", "PPO")):
        shares = report[name]
        print(
            f"       {meaning:32} {shares['right']:7.3f} {shares['abstained']:11.3f} {shares['wrong']:7.3f}"
        )
    print(
        f"       {report['updates_kept']} rollouts learned from; last reward {report['reward']}, "
        f"KL {report['kl']} nats per answer"
    )
    if report["stopped"]:
        print(f"align: stopped: {report['stopped']}")
    for alarm in alarms:
        print(f"align: alarm: {alarm.line()}")
