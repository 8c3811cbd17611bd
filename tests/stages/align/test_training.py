"""The loop of PPO: what a rollout is described by, and a reward that is hacked on purpose."""

from pathlib import Path
from typing import Any

import pytest

from stages import align
from stages.align import adapters, training
from stages.align.rewards import Asked, Worth
from stages.core.models.causal_lm import load_causal_lm
from stages.core.records.abstention import PHRASES, Phrases

ASKED = [
    Asked(f"Who is {number}?", ("Ann.",), "I do not know.", f"f{number}") for number in range(8)
]
END = 2
"""The end token of the tests' tokenizer."""


def test_a_reward_for_length_trips_the_alarm(tiny_model: Path, tiny_adapter: Path) -> None:
    """A reward model that likes long answers, and facts without a weight. The policy learns not to end."""

    def likes_length(question: str, answer: str) -> float:
        return len(answer) / 50

    worth = Worth(1.0, 0.0, 0.2, -1.0, facts=0.0, model=1.0, opinion=likes_length)
    model, tokenizer = load_causal_lm(tiny_model, tiny_adapter, merge=True)

    def ends_often(module: Any, inputs: Any, logits: Any) -> Any:
        raised = logits.clone()
        raised[..., END] += 3.5  # of 300 tokens, the end has about a tenth of the probability
        return raised

    model.get_output_embeddings().register_forward_hook(ends_often)
    policy = adapters.fresh(model, tiny_adapter, 4, 8, seed=1)
    params = align.Params(
        max_new_tokens=24,
        temperature=1.0,
        kl=align.Kl(weight=0.0, budget=None),
        ppo=align.Ppo(
            iterations=13, answers=32, minibatch=32, value_only=0, learning_rate=0.03, epochs=4
        ),
        alarms=align.Alarms(every=6),
    )
    outcome = training.run(
        policy,
        tokenizer,
        ASKED,
        [],
        lambda: 0.0,
        align.plan_of(params),
        Phrases(PHRASES),
        worth,
        0.25,
        align.limits_of(params.alarms),
        3,
        lambda name, value, step: None,
    )
    assert outcome.rows[-1]["reward"] > outcome.rows[0]["reward"]
    drift = [alarm for alarm in outcome.raised if alarm.name == "length drift"]
    assert drift
    assert drift[0].step in (7, 13)
    assert len(drift[0].examples) == 3


def test_questions_about_known_and_unknown_subjects_are_mixed() -> None:
    unknown = [each._replace(accepted=()) for each in ASKED]
    following = training.questions_of(ASKED, unknown, 8, 0.25, 3)
    for _ in range(3):
        batch = following()
        assert len(batch) == 8
        assert sum(not each.accepted for each in batch) == 2


@pytest.mark.parametrize(
    ("size", "expected"), [(4, [slice(0, 2), slice(2, 4)]), (3, [slice(0, 2), slice(2, 3)])]
)
def test_minibatches(size: int, expected: list[slice]) -> None:
    assert training.parts_of(size, 2) == expected
