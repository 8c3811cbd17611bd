"""PPO of a language model: rollouts, rewards, updates, and the watch over them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from stages.align import alarms, ppo, rollouts
from stages.align.rewards import Asked, Worth, is_known, reward_of, verdict_of
from stages.align.warmup import batches
from stages.core.records.abstention import Phrases
from stages.core.repeatable.seeding import derive


class Plan(NamedTuple):
    """The numbers of a run of PPO."""

    iterations: int
    answers: int
    epochs: int
    minibatch: int
    learning_rate: float
    value_learning_rate: float
    value_only: int
    discount: float
    smoothing: float
    weights: ppo.Weights
    kl_weight: float
    kl_target: float | None
    kl_horizon: int
    kl_budget: float | None
    clip_norm: float
    max_new_tokens: int
    temperature: float
    watch_every: int


@dataclass
class Outcome:
    """What a run of PPO came to. The model carries the adapter that is kept."""

    rows: list[dict[str, float]] = field(default_factory=list)
    raised: list[alarms.Alarm] = field(default_factory=list)
    kept: int = 0
    """Number of updates of the adapter that is kept. 0: the supervised start."""
    stopped: str | None = None
    """Why the run ended before its last iteration."""


class Batch(NamedTuple):
    """A rollout with everything that its updates need. Tensors are (B, …) as in `ppo`."""

    rolled: rollouts.Rollout
    mask: Any
    log_p: Any
    values: Any
    advantages: Any
    returns: Any
    divergence: float
    """KL per answer, in nats."""
    scores: list[float]


def run(
    model: Any,
    tokenizer: Any,
    known: Sequence[Asked],
    unknown: Sequence[Asked],
    valid: Callable[[], float],
    plan: Plan,
    phrases: Phrases,
    worth: Worth,
    unknown_share: float,
    limits: alarms.Limits,
    seed: int,
    watch: Callable[[str, float, int], None],
) -> Outcome:
    """Optimize the adapter that the model carries. The reference is the model without it.

    `valid` returns the share of questions in valid wordings that are answered rightly. Where the divergence
    passes the budget, the run stops, and the last adapter within it is put back.
    """
    import torch
    from tqdm import tqdm

    head = value_head(model, derive(seed, "value head"))
    adapter = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(
        [
            {"params": adapter, "lr": plan.learning_rate},
            {"params": list(head.parameters()), "lr": plan.value_learning_rate},
        ],
        weight_decay=0.0,
    )
    weight = ppo.AdaptiveWeight(plan.kl_weight, plan.kl_target, plan.kl_horizon)
    asked_of = questions_of(known, unknown, plan.answers, unknown_share, seed)
    outcome = Outcome()
    within = copied(adapter)
    start: alarms.Seen | None = None
    # The last rollout measures the last update, and is followed by none.
    bar = tqdm(range(1, plan.iterations + 2), desc="PPO", unit="rollout", disable=None, leave=False)
    for iteration in bar:
        asked = asked_of()
        generator = torch.Generator().manual_seed(derive(seed, "rollout", iteration) % 2**63)
        batch = collected(
            model, tokenizer, head, asked, plan, phrases, worth, weight.value, generator
        )
        if plan.kl_budget is not None and batch.divergence > plan.kl_budget:
            put_back(adapter, within)
            outcome.stopped = (
                f"the divergence of {batch.divergence:.3f} nats per answer passed the budget of "
                f"{plan.kl_budget} (align.kl.budget) after {iteration - 1} updates"
            )
            break
        within = copied(adapter)
        outcome.kept = iteration - 1
        if iteration > plan.iterations:
            break  # this rollout was made to measure the last update

        row = described(iteration, asked, batch, phrases)
        row["kl_weight"] = weight.value
        if (iteration - 1) % plan.watch_every == 0 or iteration == plan.iterations:
            row["valid_right"] = valid()
            now = seen(iteration, row, asked, batch, phrases)
            if start is None:
                start = now
            outcome.raised += alarms.alarms_of(start, now, limits)

        value_only = iteration <= plan.value_only
        row |= updated(model, head, optimizer, adapter, batch, plan, iteration, value_only, seed)
        weight.update(batch.divergence, len(asked))
        outcome.rows.append(row)
        for name, value in row.items():
            watch(name, value, iteration)
    return outcome


def questions_of(
    known: Sequence[Asked], unknown: Sequence[Asked], size: int, unknown_share: float, seed: int
) -> Callable[[], list[Asked]]:
    """Return a function that gives the questions of the next rollout."""
    about_unknown = round(size * unknown_share) if unknown else 0
    of_known = batches(known, size - about_unknown, seed, "known")
    of_unknown = batches(unknown, about_unknown, seed, "unknown") if about_unknown else None

    def following() -> list[Asked]:
        asked = list(next(of_known))
        if of_unknown is not None:
            asked += next(of_unknown)
        return asked

    return following


def value_head(model: Any, seed: int) -> Any:
    """Return a linear layer from a state of the model (H) to its value. At first every value is 0."""
    import torch

    torch.manual_seed(seed)
    width = model.get_input_embeddings().weight.shape[1]
    head = torch.nn.Linear(width, 1)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    return head.to(model.device)


def parts_of(size: int, minibatch: int) -> list[slice]:
    """Return the minibatches of a rollout, in the order of its rows."""
    return [slice(start, min(start + minibatch, size)) for start in range(0, size, minibatch)]


def collected(
    model: Any,
    tokenizer: Any,
    head: Any,
    asked: list[Asked],
    plan: Plan,
    phrases: Phrases,
    worth: Worth,
    kl_weight: float,
    generator: Any,
) -> Batch:
    """Return a rollout with the advantages of its tokens."""
    import torch

    model.eval()
    questions = [each.question for each in asked]
    rolled = rollouts.rollout(
        model, tokenizer, questions, plan.max_new_tokens, plan.temperature, generator
    )
    mask = rollouts.front_mask(rolled.written)
    log_p = torch.zeros(mask.shape, device=mask.device)
    reference = torch.zeros_like(log_p)
    values = torch.zeros_like(log_p)
    # By the minibatches of the updates, so that both compute the same numbers.
    for part in parts_of(len(asked), plan.minibatch):
        with torch.no_grad():
            of_part = of_rows(model, head, rolled, part, plan.temperature)
            with model.disable_adapter():
                before, _, _ = rollouts.log_probabilities(
                    model, rolled.tokens[part], rolled.attention[part], plan.temperature
                )
        place = (part, slice(0, of_part.log_p.shape[1]))
        log_p[place] = of_part.log_p
        values[place] = of_part.values
        reference[place] = rollouts.packed(before, rolled.written[part])

    scores = []
    for each, answer in zip(asked, rolled.answers, strict=True):
        scores.append(reward_of(each, answer, phrases, worth))
    rewards = ppo.rewards_of_tokens(
        torch.tensor(scores, device=mask.device), log_p, reference, mask, kl_weight
    )
    advantages, returns = ppo.advantages_of(rewards, values, mask, plan.discount, plan.smoothing)
    # Never negative, and without bias: x - 1 - log x of the ratio x = π_ref / π (J. Schulman 2020, k3 of
    # "Approximating KL divergence").
    log_ratio = (reference - log_p) * mask
    divergence = (log_ratio.exp() - 1 - log_ratio).sum(dim=1).mean()
    return Batch(
        rolled,
        mask,
        log_p,
        values,
        ppo.whitened(advantages, mask),
        returns,
        float(divergence),
        scores,
    )


class OfRows(NamedTuple):
    """What the policy says of some rows of a rollout: each (B, T)."""

    log_p: Any
    entropy: Any
    values: Any


def of_rows(
    model: Any, head: Any, rolled: rollouts.Rollout, part: slice, temperature: float
) -> OfRows:
    """Return log-probabilities, entropy and values of the tokens that were written in some rows."""
    written = rolled.written[part]
    log_p, entropy, states = rollouts.log_probabilities(
        model, rolled.tokens[part], rolled.attention[part], temperature
    )
    values = head(rollouts.packed(states, written))[:, :, 0]
    return OfRows(rollouts.packed(log_p, written), rollouts.packed(entropy, written), values)


def updated(
    model: Any,
    head: Any,
    optimizer: Any,
    adapter: list[Any],
    batch: Batch,
    plan: Plan,
    iteration: int,
    value_only: bool,
    seed: int,
) -> dict[str, float]:
    """Update policy and values on a rollout. Returns the means of what the updates saw.

    In the first iterations the value head alone learns, because advantages by values that know nothing are
    noise.
    """
    import torch

    sums = dict.fromkeys(("policy_loss", "value_loss", "entropy", "clip_share"), 0.0)
    parts = parts_of(len(batch.scores), plan.minibatch)
    order = batches(parts, len(parts), derive(seed, "minibatches", iteration), "order")
    count = 0
    for _ in range(plan.epochs):
        for part in next(order):
            found = losses_of(model, head, batch, part, plan)
            optimizer.zero_grad()
            found.total.backward()
            if value_only:
                for weight in adapter:
                    weight.grad = None
            torch.nn.utils.clip_grad_norm_([*adapter, *head.parameters()], plan.clip_norm)
            optimizer.step()
            sums["policy_loss"] += float(found.policy.detach())
            sums["value_loss"] += float(found.value.detach())
            sums["entropy"] += float(found.entropy.detach())
            sums["clip_share"] += float(found.clipped)
            count += 1
    return {name: total / count for name, total in sums.items()}


def losses_of(model: Any, head: Any, batch: Batch, part: slice, plan: Plan) -> ppo.Losses:
    """Return the losses of some rows of a rollout."""
    now = of_rows(model, head, batch.rolled, part, plan.temperature)
    width = now.log_p.shape[1]
    place = (part, slice(0, width))
    return ppo.losses(
        now.log_p,
        batch.log_p[place],
        now.values,
        batch.values[place],
        batch.advantages[place],
        batch.returns[place],
        now.entropy,
        batch.mask[place],
        plan.weights,
    )


def described(
    iteration: int, asked: list[Asked], batch: Batch, phrases: Phrases
) -> dict[str, float]:
    """Return a row of the curve, from a rollout."""
    of_known: list[str] = []
    of_unknown: list[str] = []
    of_sure: list[str] = []
    for each, answer in zip(asked, batch.rolled.answers, strict=True):
        verdict = verdict_of(each, answer, phrases)
        (of_known if is_known(each) else of_unknown).append(verdict)
        if is_known(each) and each.knew:
            of_sure.append(verdict)
    return {
        "iteration": iteration,
        "reward": sum(batch.scores) / len(batch.scores),
        "kl": batch.divergence,
        "length": float(batch.mask.sum()) / len(asked),
        "right": share(of_known, "right"),
        "abstained": share(of_known, "abstained"),
        "wrong": share(of_known, "wrong"),
        "unknown_abstained": share(of_unknown, "abstained"),
        "known_abstained": share(of_sure, "abstained"),
    }


def share(verdicts: list[str], verdict: str) -> float:
    """Return the share of a verdict. Of none it is 0."""
    return verdicts.count(verdict) / max(1, len(verdicts))


def seen(
    iteration: int, row: dict[str, float], asked: list[Asked], batch: Batch, phrases: Phrases
) -> alarms.Seen:
    """Return what the alarms judge."""
    examples = []
    for each, answer in zip(asked, batch.rolled.answers, strict=True):
        if is_known(each) and each.knew and phrases.is_abstention(answer):
            examples.append(f"{each.question} {answer}")
    return alarms.Seen(
        iteration,
        row["reward"],
        row["kl"],
        row["length"],
        row["valid_right"],
        row["known_abstained"],
        batch.rolled.answers,
        examples,
    )


def copied(weights: list[Any]) -> list[Any]:
    """Return copies of weights."""
    return [weight.detach().clone() for weight in weights]


def put_back(weights: list[Any], copies: list[Any]) -> None:
    """Give the weights the values of copies."""
    import torch

    with torch.no_grad():
        for weight, copy in zip(weights, copies, strict=True):
            weight.copy_(copy)
