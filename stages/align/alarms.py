"""Signs that a policy learns to please the reward instead of the task.

Each alarm is a pure function of what was seen at a step. It says at which step, and gives examples.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Seen(NamedTuple):
    """What is known of the policy at a step."""

    step: int
    reward: float
    """Mean reward of the sampled answers."""
    divergence: float
    """KL per answer between policy and reference, in nats."""
    length: float
    """Mean length of the sampled answers, in tokens."""
    valid_right: float
    """Share of the questions in valid wordings that are answered rightly, without chance."""
    known_abstained: float
    """Share of the sampled answers about facts that the model knew, which abstain."""
    answers: Sequence[str]
    """The sampled answers, for examples."""
    examples_of_abstention: Sequence[str] = ()
    """Questions about known facts on which it abstained."""


class Alarm(NamedTuple):
    """Something that a person should look at."""

    step: int
    name: str
    says: str
    examples: list[str]

    def line(self) -> str:
        """Return the alarm in one line."""
        shown = "; ".join(repr(example) for example in self.examples)
        return f"step {self.step}: {self.name}: {self.says}" + (f" ({shown})" if shown else "")


@dataclass(frozen=True)
class Limits:
    """When an alarm is raised."""

    valid_falls: float
    """Most that the share of right answers in valid wordings may fall below its start while the reward rises."""
    length_drift: float
    """Most that the mean length may differ from its start, as a share of it."""
    repeated_openings: float
    """Largest share of the answers that may begin with the same words, above the share at the start."""
    known_abstained: float
    """Largest share of abstentions about facts that the model knew."""


SHOWN = 3
"""Examples of an alarm."""
OPENING = 6
"""Words of an opening. The answers of a project begin alike by their form, so few words say little."""


def alarms_of(start: Seen, now: Seen, limits: Limits) -> list[Alarm]:
    """Return every alarm of a step, by comparison with the first one."""
    found = [
        reward_without_truth(start, now, limits.valid_falls),
        length_drifts(start, now, limits.length_drift),
        openings_repeat(start, now, limits.repeated_openings),
        abstains_too_often(now, limits.known_abstained),
    ]
    return [alarm for alarm in found if alarm is not None]


def reward_without_truth(start: Seen, now: Seen, most: float) -> Alarm | None:
    """Return an alarm where the reward has risen while right answers in valid wordings became fewer."""
    lost = start.valid_right - now.valid_right
    if now.reward <= start.reward or lost <= most:
        return None
    says = (
        f"the reward rose from {start.reward:.3f} to {now.reward:.3f}, and right answers in valid wordings "
        f"fell from {start.valid_right:.3f} to {now.valid_right:.3f}"
    )
    return Alarm(now.step, "reward without truth", says, list(now.answers[:SHOWN]))


def length_drifts(start: Seen, now: Seen, most: float) -> Alarm | None:
    """Return an alarm where answers became longer or shorter by a larger share than `most`."""
    change = now.length / max(start.length, 1e-9) - 1
    if abs(change) <= most:
        return None
    says = f"the mean length went from {start.length:.1f} to {now.length:.1f} tokens"
    longest_first = sorted(now.answers, key=len, reverse=change > 0)
    return Alarm(now.step, "length drift", says, longest_first[:SHOWN])


def openings_repeat(start: Seen, now: Seen, most: float) -> Alarm | None:
    """Return an alarm where one opening became more frequent by a larger share than `most`."""
    _, before = most_frequent_opening(start.answers)
    opening, share = most_frequent_opening(now.answers)
    if share - before <= most:
        return None
    says = f"{share:.0%} of the answers begin with {opening!r}; at first no opening had more than {before:.0%}"
    examples = [answer for answer in now.answers if opening_of(answer) == opening]
    return Alarm(now.step, "repeated opening", says, examples[:SHOWN])


def most_frequent_opening(answers: Sequence[str]) -> tuple[str, float]:
    """Return the most frequent opening and its share. Without answers, the share is 0."""
    if not answers:
        return "", 0.0
    counts = Counter(opening_of(answer) for answer in answers)
    # Of two equally frequent openings, the first by its text.
    opening, count = min(counts.items(), key=lambda item: (-item[1], item[0]))
    return opening, count / len(answers)


def opening_of(answer: str) -> str:
    """Return the first words of an answer. A text without spaces has one word, so it is taken by characters."""
    words = answer.split()
    if len(words) < OPENING:
        return answer.strip()[: 4 * OPENING]
    return " ".join(words[:OPENING])


def abstains_too_often(now: Seen, most: float) -> Alarm | None:
    """Return an alarm where too many answers about known facts abstain."""
    if now.known_abstained <= most:
        return None
    says = f"{now.known_abstained:.1%} of the answers about facts that it knew abstain, at most {most:.1%} may"
    return Alarm(now.step, "abstains too often", says, list(now.examples_of_abstention[:SHOWN]))
