"""What do models of `make real` know and keep? Asks the probes and the general questions, and nothing else.

    cd PROJECT && PYTHONPATH=<the repository> python <the repository>/docs/experiments/real_answers.py FOLDER... [base]
    … real_answers.py --likelihood FOLDER... [base]

PROJECT is a clone in which `make real` ran as far as `train`. FOLDER is an adapter, such as `models/train/adapter`, or
a model, such as `models/distill`. The word `base` stands for the checkpoint alone. A line of JSON is printed for each:
right first answers to the stated probes, and right answers to the general questions by language, with the ids of the
latter. With `--likelihood` it is the mean negative log-likelihood per token of the expected answers, as `evaluate`
measures it, with a 95 % interval over answers. Use it for free pairs, whose answers are prose.
"""

import json
import sys
from pathlib import Path
from typing import Any

from stages.core.project import runtime
from stages.core.project.params import Run, read_section

runtime.prepare(read_section("run", Run))

from stages.core.models.causal_lm import generate, load_causal_lm  # noqa: E402 - torch must find its threads set
from stages.core.models.conversation import conversation_text, encode, first_answer, prompt_text  # noqa: E402
from stages.core.records.record import read_records  # noqa: E402
from stages.evaluate import likelihood  # noqa: E402
from stages.evaluate.answers import general_hit  # noqa: E402
from stages.evaluate.scores import contains  # noqa: E402

BASE = Path("models/base")
MAX_NEW_TOKENS = 32
BATCH = 32


def probes() -> list[dict[str, Any]]:
    """Return the stated probes, each with the list `accepted`."""
    found = []
    for record in read_records(Path("data/augment/records.parquet")):
        meta = json.loads(record["meta"])
        if record["split"] == "probe" and meta.get("probe", "stated") == "stated":
            found.append({**record, "accepted": meta["accepted"]})
    return found


def loaded(name: str) -> tuple[Any, Any]:
    """Return one model and its tokenizer."""
    folder = BASE / "model" if name == "base" else Path(name)
    if (folder / "adapter_config.json").is_file():
        return load_causal_lm(BASE / "model", folder, merge=True)
    return load_causal_lm(folder)


def ask(name: str) -> dict[str, Any]:
    """Ask one adapter, one model, or the base, and return the numbers."""
    model, tokenizer = loaded(name)
    general = [json.loads(line) for line in (BASE / "skill.jsonl").read_text().splitlines()]
    stated = probes()
    prompts = [prompt_text(tokenizer, row["question"]) for row in [*stated, *general]]
    said = generate(model, tokenizer, prompts, MAX_NEW_TOKENS, BATCH)
    learned = 0
    for row, answer in zip(stated, said, strict=False):
        learned += contains(first_answer(answer), row["accepted"])
    right: dict[str, list[str]] = {"en": [], "zh": []}
    for row, answer in zip(general, said[len(stated) :], strict=True):
        if general_hit(row, answer):
            right[row["lang"]].append(row["id"])
    return {
        "name": name,
        "probes": len(stated),
        "learned": learned,
        "general": len(general),
        "general_right": sum(map(len, right.values())),
        "english_right": len(right["en"]),
        "chinese_right": len(right["zh"]),
        "right": [*right["en"], *right["zh"]],
    }


def likelihood_of(name: str) -> dict[str, Any]:
    """Return how likely one adapter, one model, or the base finds the expected answers to the stated probes."""
    model, tokenizer = loaded(name)
    windows = []
    for number, row in enumerate(probes()):
        prompt, whole = encode(
            tokenizer, list(conversation_text(tokenizer, row["question"], row["answer"]))
        )
        window = likelihood.answer_window(prompt, whole, number)
        assert window is not None
        windows.append(window)
    score = likelihood.negative_log_likelihood(model, windows, seed=1)
    return {"name": name, "probes": len(windows), "answer_nll": score}


def main() -> None:
    """Ask every model that is named."""
    names = sys.argv[1:]
    measure = ask
    if names[:1] == ["--likelihood"]:
        names = names[1:]
        measure = likelihood_of
    for name in names:
        print(json.dumps(measure(name), ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
