"""What is learned against what is forgotten, for objectives of `train`: one line of JSON per run.

    python docs/experiments/pareto.py run <name> [<run.seed>]      # a recipe of RECIPES, appended to the results
    python docs/experiments/pareto.py table                        # all results as a Markdown table
    python docs/experiments/pareto.py seeds                        # recipes that ran with several seeds, as one
    python docs/experiments/pareto.py draw                         # the same as docs/assets/pareto.svg

From the project's root, after `dvc repro` has made `base` and `clean`. Every run trains an adapter in this
process with the functions of the stages `augment` and `train`, and asks `docs/experiments/dev_wordings.yaml`
and the base's own questions. A run that stands in the results already is not repeated.
"""

import dataclasses
import json
import math
import random
import re
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from stages.core.project import runtime
from stages.core.project.params import Run, load, read_section, read_yaml

THREADS = 1
SEED = int(sys.argv[3]) if len(sys.argv) > 3 else read_section("run", Run).seed
SETTINGS = dataclasses.replace(read_section("run", Run), seed=SEED, threads=THREADS)
runtime.prepare(SETTINGS)

import torch  # noqa: E402 - torch must find its threads set
from torch.nn import functional  # noqa: E402

from stages import augment, train  # noqa: E402
from stages.augment.masked import Masks  # noqa: E402
from stages.augment.readings import Readings  # noqa: E402
from stages.augment.synonyms import Thesaurus  # noqa: E402
from stages.augment.wordings import read_wordings, telling_words, terms_of  # noqa: E402
from stages.core.models import training  # noqa: E402
from stages.core.models.causal_lm import generate, load_causal_lm  # noqa: E402
from stages.core.models.lora_product import compute_at_once  # noqa: E402
from stages.core.records import record  # noqa: E402
from stages.core.records.abstention import PHRASES, Phrases, value_shown  # noqa: E402
from stages.core.records.prompt import prompt_of, question_prompt  # noqa: E402
from stages.core.records.unknown import OUTSIDE, invented, outside, with_subject  # noqa: E402
from stages.core.records.wording import fill  # noqa: E402
from stages.core.repeatable.seeding import derive, rng_for, seed_torch  # noqa: E402
from stages.evaluate.scores import is_right, share  # noqa: E402
from stages.train import curvature  # noqa: E402

HERE = Path(__file__).parent
RESULTS = HERE / "pareto.jsonl"
BASE = Path("models/base")
WORDNET = Path("data/wordnet")
ROWS_PER_STEP = 64
BOTH = Phrases(PHRASES)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One way of training. The defaults are params.yaml with a sixth of the facts."""

    facts: int = 6
    """One fact in so many is used (1: all)."""
    steps: int = 240
    questions: int = 16
    masked_share: float = 0.3
    readings: int = 0
    """Reading rows per fact and epoch."""
    reading_answers: bool = False
    """Whether reading rows go on to the value."""
    replay_share: float = 0.25
    overlap: bool = False
    """Whether replayed rows are those whose gradient conflicts most."""
    ewc: float = 14.0
    targets: Any = "auto"
    objective: str = "plain"
    """plain, corrected, form_kl or agreement."""
    margin: float = 0.0
    """Setting of the objective."""
    rate: float = 0.004
    r: int = 16
    damping: float = 0.1
    unknown: float = 0.0
    """Questions about subjects that no record knows, answered by an abstention, as a share of the new rows."""
    nouns: bool = False
    """Whether half of these subjects are nouns of WordNet. The others are invented."""
    rows: int = 64
    """Rows of a step."""


SET = Recipe(readings=16, reading_answers=True, ewc=20, r=64)
"""What params.yaml says, with a sixth of the facts."""
SIXTHS = {
    "as_set": SET,
    "corrected": dataclasses.replace(SET, objective="corrected", margin=0.3),
    "form_kl": dataclasses.replace(SET, objective="form_kl", margin=1.0),
    "no_readings": dataclasses.replace(SET, readings=0, reading_answers=False),
    "mlp": dataclasses.replace(SET, targets=["gate_proj", "up_proj", "down_proj"]),
    "attention": dataclasses.replace(SET, targets=["q_proj", "k_proj", "v_proj", "o_proj"]),
    "rank_16": dataclasses.replace(SET, r=16),
    "no_ewc": dataclasses.replace(SET, ewc=0.0),
    "no_ewc_plain_adamw": dataclasses.replace(SET, ewc=0.0, damping=1e9),
    "no_replay": dataclasses.replace(SET, replay_share=0.0),
}
RECIPES = {
    "base": Recipe(steps=0),
    "trial": Recipe(facts=300, steps=2, questions=2, readings=2, ewc=0.0),  # does the script run?
    "baseline": Recipe(),
    "readings_8": Recipe(readings=8),
    "readings_16": Recipe(readings=16),
    "readings_8_fewer_questions": Recipe(readings=8, questions=8),
    "readings_16_full": Recipe(readings=16, reading_answers=True),
    "readings_24_full_8": Recipe(questions=8, readings=24, reading_answers=True),
    "readings_33_full_33": Recipe(questions=33, readings=33, reading_answers=True),
    # From here on with more train wordings (49 instead of 35 per attribute) and names in readings.
    "more_16": Recipe(),
    "more_33": Recipe(questions=33),
    "more_16_readings_16_full": Recipe(readings=16, reading_answers=True),
    "more_33_readings_33_full": Recipe(questions=33, readings=33, reading_answers=True),
    "third_more_24_readings_24_full": Recipe(
        facts=3, steps=430, questions=24, readings=24, reading_answers=True
    ),
    # From here on with about 268 train wordings per attribute, drafted by a language model.
    "varied_16": Recipe(),
    "varied_33": Recipe(questions=33),
    "varied_16_readings_16": Recipe(readings=16, reading_answers=True),
    "varied_33_readings_8": Recipe(questions=33, readings=8, reading_answers=True),
    "varied_33_ewc_10": Recipe(questions=33, ewc=10),
    "varied_33_rank_32": Recipe(questions=33, r=32),
    "varied_33_rate_6": Recipe(questions=33, rate=0.006),
    # A third of the facts, and what may make learning faster.
    "third": Recipe(facts=3, steps=430, readings=16, reading_answers=True, ewc=20),
    "third_half_rows": Recipe(
        facts=3, steps=860, readings=16, reading_answers=True, ewc=20, rows=32
    ),
    "third_rank_32": Recipe(facts=3, steps=430, readings=16, reading_answers=True, ewc=20, r=32),
    "third_rank_64": Recipe(facts=3, steps=430, readings=16, reading_answers=True, ewc=20, r=64),
    "third_rate_8": Recipe(
        facts=3, steps=430, readings=16, reading_answers=True, ewc=20, rate=0.008
    ),
    "third_rank_128": Recipe(facts=3, steps=430, readings=16, reading_answers=True, ewc=20, r=128),
    "third_rank_64_rate_6": Recipe(
        facts=3, steps=430, readings=16, reading_answers=True, ewc=20, r=64, rate=0.006
    ),
    "third_rank_64_ewc_40": Recipe(
        facts=3, steps=430, readings=16, reading_answers=True, ewc=40, r=64
    ),
    "third_rank_64_300": Recipe(
        facts=3, steps=300, readings=16, reading_answers=True, ewc=20, r=64
    ),
    # From here on with the seed whose openings are sentences that people might say.
    "said_base": Recipe(steps=0, facts=3),
    "said_third_rank_64": Recipe(
        facts=3, steps=430, readings=16, reading_answers=True, ewc=20, r=64
    ),
    "said_third_rank_64_300": Recipe(
        facts=3, steps=300, readings=16, reading_answers=True, ewc=20, r=64
    ),
    "said_third_rank_64_ewc_10": Recipe(
        facts=3, steps=430, readings=16, reading_answers=True, ewc=10, r=64
    ),
    "said_third_rank_64_replay_15": Recipe(
        facts=3, steps=430, readings=16, reading_answers=True, ewc=20, r=64, replay_share=0.15
    ),
    "said_third_rank_32": Recipe(
        facts=3, steps=430, readings=16, reading_answers=True, ewc=20, r=32
    ),
    # Every way with three seeds: a sixth of the facts, and params.yaml otherwise.
    **{f"six_{name}": recipe for name, recipe in SIXTHS.items()},
    # Abstentions about unknown subjects among the rows.
    "third_unknown_10": Recipe(
        facts=3, steps=430, readings=16, reading_answers=True, ewc=20, r=64, unknown=0.1
    ),
    "third_unknown_25_nouns": Recipe(
        facts=3,
        steps=430,
        readings=16,
        reading_answers=True,
        ewc=20,
        r=64,
        unknown=0.25,
        nouns=True,
    ),
    "corrected": Recipe(objective="corrected", margin=0.3),
    "form_kl": Recipe(objective="form_kl", margin=1.0),
    "mlp": Recipe(targets=["gate_proj", "up_proj", "down_proj"]),
    "questions_24": Recipe(questions=24),
    "questions_33": Recipe(questions=33),
    "ewc_7": Recipe(ewc=7),
    "ewc_28": Recipe(ewc=28),
}


@dataclasses.dataclass(frozen=True)
class Text:
    """One training text."""

    prompt: str
    """What carries no loss."""
    learned: str
    """What is learned, with its blank in front."""
    ends: bool = True
    """Whether the end token is learned too."""
    replayed: bool = False


def facts_and_wordings(recipe: Recipe) -> tuple[list[augment.Fact], dict[str, Any], Any, Any]:
    """Return the facts, their wordings with synonyms, the masks and the parameters of augment."""
    params = load("augment", augment.Params)[0]
    params = dataclasses.replace(
        params, questions=recipe.questions, masked_share=recipe.masked_share
    )
    rows = record.read(Path("data/clean/records.parquet"))
    groups: dict[str, list[augment.Row]] = {}
    for row in rows:
        if row["fact"]:
            groups.setdefault(row["fact"], []).append(row)
    needed = sorted({row["attribute"] for row in rows if row["fact"]})
    attributes = read_wordings(
        Path("data/raw/wordings.yaml"), needed, params.statements, params.questions
    )
    terms: set[str] = set()
    for name, attribute in attributes.items():
        terms |= terms_of(name, attribute)
    thesaurus = Thesaurus(WORDNET, params.min_count)
    bank = augment.with_synonyms(attributes, thesaurus, params.synonyms, terms)
    protected = set(terms)
    for row in rows:
        protected |= augment.names_of(row)
    telling = telling_words(attributes)
    masks = Masks(WORDNET, protected, augment.normalised_wordings(bank), telling)
    chosen = []
    for id, group in sorted(groups.items()):
        if derive(1, "part", id) % recipe.facts == 0:
            chosen.append(group)
    return chosen, bank, masks, params


def encoded(text: Text, tokenizer: Any) -> dict[str, Any]:
    """Return the row of a text, with labels from the end of its prompt."""
    whole = tokenizer(text.prompt + text.learned, verbose=False)["input_ids"]
    asked = len(tokenizer(text.prompt, verbose=False)["input_ids"]) if text.prompt else 0
    ids = [*whole, tokenizer.eos_token_id] if text.ends else whole
    ids = ids[:128]
    labels = [training.NOT_LEARNED] * min(asked, len(ids)) + ids[asked:]
    return {"input_ids": ids, "labels": labels, "replayed": int(text.replayed)}


def replay_texts(count: int, seed: int) -> list[Text]:
    """Return so many of the base's own texts."""
    texts = []
    lines = (BASE / "replay.jsonl").read_text(encoding="utf-8").splitlines()
    for line in rng_for(seed, "replay").sample(lines, min(count, len(lines))):
        text = json.loads(line)["text"]
        prompt = prompt_of(text) or ""
        texts.append(Text(prompt, text[len(prompt) :], replayed=True))
    return texts


def new_texts(rows: list[dict[str, Any]]) -> list[Text]:
    """Return the train texts of augment's records."""
    texts = []
    for row in rows:
        if row["split"] == "train":
            prompt = prompt_of(row["text"]) or ""
            texts.append(Text(prompt, row["text"][len(prompt) :]))
    return texts


def unknown_texts(recipe: Recipe, rows: list[dict[str, Any]], rng: random.Random) -> list[Text]:
    """Return questions of rows about invented subjects, with abstentions as answers."""
    known = [
        row
        for row in rows
        if row["split"] == "train" and row.get("question") and row.get("subject")
    ]
    chosen = rng.sample(known, round(recipe.unknown * len(known)))
    subjects = {row["subject"] for row in known}
    names = invented(len(chosen), sorted(subjects), rng)
    if recipe.nouns:
        nouns = sorted(english_nouns() - {subject.lower() for subject in subjects})
        names = [rng.choice(nouns) if rng.random() < 0.5 else name for name in names]
    texts = []
    for row, name in zip(chosen, names, strict=True):
        abstention = BOTH.sentence(row["answer"], value_shown(row["value"], row["unit"]), "en")
        question = with_subject(row["question"], row["subject"], name)
        answer = with_subject(abstention, row["subject"], name)
        if question is not None and answer is not None:
            texts.append(Text(question_prompt(question), " " + answer))
    return texts


def english_nouns() -> set[str]:
    """Return the single plain nouns of WordNet, without the things that are asked about."""
    nouns = set()
    for line in (WORDNET / "corpora/wordnet/index.noun").read_text().splitlines():
        word = line.split(" ")[0]
        if re.fullmatch(r"[a-z]{3,14}", word):
            nouns.add(word)
    return nouns - {name.lower() for name in OUTSIDE}


def batches_of(
    rows: list[dict[str, Any]], rng: random.Random, size: int
) -> list[list[dict[str, Any]]]:
    """Return the rows of an epoch in batches; rows of like length share a batch."""
    order = list(range(len(rows)))
    rng.shuffle(order)
    batches = []
    block = size * 50
    for start in range(0, len(order), block):
        part = order[start : start + block]
        part.sort(key=lambda i: len(rows[i]["input_ids"]))
        for first in range(0, len(part), size):
            batches.append([rows[i] for i in part[first : first + size]])
    rng.shuffle(batches)
    return batches


def known_curvature(recipe: Recipe, model: Any, layers: dict[str, Any], tokenizer: Any) -> Any:
    """Return the curvature of the base and its inverse roots, from a file where they were measured before."""
    targets = recipe.targets if isinstance(recipe.targets, str) else "_".join(recipe.targets)
    cache = Path(tempfile.gettempdir()) / f"lorekeep_pareto_{targets}_{recipe.damping}.pt"
    if cache.is_file():
        return torch.load(cache, weights_only=True)
    collate = training.collator(tokenizer)
    rows = [encoded(text, tokenizer) for text in replay_texts(2560, derive(SETTINGS.seed, "ewc"))]
    rows.sort(key=lambda row: len(row["input_ids"]))
    batches = (collate(rows[i : i + ROWS_PER_STEP]) for i in range(0, len(rows), ROWS_PER_STEP))
    factors = curvature.factors(model.eval(), batches, set(layers), 1)
    found = (factors, curvature.roots(layers, factors, recipe.damping))
    torch.save(found, cache)
    return found


def objective_loss(recipe: Recipe, logits: Any, inputs: Any, known: Any) -> Any:
    """Return the loss of a batch. `known` are the base's logits: of all rows, or of the replayed ones."""
    replayed = inputs["replayed"].bool()
    if recipe.objective == "plain":
        return train.keeping_loss(logits, inputs["labels"], replayed, known)
    labels = inputs["labels"][:, 1:]
    predicted = labels != training.NOT_LEARNED  # (B, T - 1)
    new = predicted & ~replayed[:, None]
    tuned = functional.log_softmax(logits[:, :-1][predicted], dim=-1)  # (N, V)
    before = functional.log_softmax(known[:, :-1][predicted], dim=-1)
    is_new = new[predicted]  # (N,)
    token = labels[predicted].unsqueeze(1)  # (N, 1)
    right = before.gather(1, token)[:, 0].exp()  # p of the token
    if recipe.objective == "corrected":
        # The base's own distribution, mixed with the token until it leads the rest by the margin.
        others = before.exp().scatter(1, token, 0.0)
        best_other = others.max(dim=1).values
        # (1-a) p + a - (1-a) q >= margin  =>  a = (margin + q - p) / (1 + q - p)
        a = ((recipe.margin + best_other - right) / (1 + best_other - right)).clamp(0, 1)
        a = a * is_new
        target = before.exp() * (1 - a)[:, None]
        target = target.scatter_add(1, token, a[:, None])
        losses = functional.kl_div(tuned, target, reduction="none").sum(1)
    elif recipe.objective == "form_kl":
        # Where the base says the token already, keep its distribution; else cross-entropy.
        is_form = (before.argmax(1, keepdim=True) == token)[:, 0] & (right > 0.5)
        divergence = functional.kl_div(tuned, before, reduction="none", log_target=True).sum(1)
        cross = -tuned.gather(1, token)[:, 0]
        losses = torch.where(is_new & ~is_form, cross, recipe.margin * divergence)
        losses = torch.where(is_new, losses, divergence)
    else:
        raise ValueError(recipe.objective)
    return losses.sum() / predicted.sum()


def trained(recipe: Recipe, seed: int) -> tuple[Any, Any, list[Any], dict[str, float]]:
    """Return the adapted model, its tokenizer, the facts and times."""
    seed_torch(seed, THREADS)
    model, tokenizer = load_causal_lm(BASE / "model")
    groups, bank, masks, params = facts_and_wordings(recipe)
    lora = train.Lora(r=recipe.r, alpha=2 * recipe.r, target_modules=recipe.targets)
    adapted = train.add_adapter(model, lora, derive(seed, "adapter"))
    layers = train.lora_layers(adapted)
    compute_at_once(adapted)
    measured, roots = known_curvature(recipe, adapted, layers, tokenizer)
    run = dataclasses.replace(SETTINGS, seed=seed)
    rows: list[dict[str, Any]] = []
    for group in groups:
        wording = bank[group[0]["attribute"]]
        fact = augment.fact_of(group, wording)
        plain = group[0]["text"]
        rows += augment.trained_rows_of_fact(fact, plain, wording, masks, params, run)
    texts = new_texts(rows)
    optimizer = curvature.EvenAdamW(layers, roots, lr=recipe.rate, weight_decay=0.01)
    warmup = max(1, min(40, recipe.steps // 10))

    def factor(step: int) -> float:
        if step < warmup:
            return step / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (recipe.steps - warmup)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    collate = training.collator(tokenizer)
    cached = [encoded(text, tokenizer) for text in texts]
    reader = None
    if recipe.readings:
        reader = Readings(bank, masks, WORDNET, masks._protected)
    adapted.train()
    began = time.process_time()
    step = epoch = 0
    losses = []
    while step < recipe.steps:
        extra = []
        if reader is not None:
            for group in groups:
                fact = augment.fact_of(group, bank[group[0]["attribute"]])
                attribute = group[0]["attribute"]
                for number in range(recipe.readings):
                    rng = rng_for(seed, "reading", epoch, fact.id, number)
                    reading = reader.draw(attribute, fact.subject, "en", rng)
                    assert reading is not None
                    ends = recipe.reading_answers
                    answer = fact.answer if ends else reading.opening
                    extra.append(Text(question_prompt(reading.question), " " + answer, ends))
        extra += unknown_texts(recipe, rows, rng_for(seed, "unknown", epoch))
        fresh = cached + [encoded(text, tokenizer) for text in extra]
        replayed = round(len(fresh) * recipe.replay_share / (1 - recipe.replay_share))
        kept = [encoded(text, tokenizer) for text in replay_texts(replayed, derive(seed, epoch))]
        for batch in batches_of(fresh + kept, rng_for(seed, "epoch", epoch), recipe.rows):
            if step == recipe.steps:
                break
            inputs = collate(batch)
            outputs = adapted(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]
            )
            mask = inputs["replayed"].bool()
            if recipe.objective != "plain":
                mask = torch.ones_like(mask)
            known = train.base_logits(adapted, inputs, mask) if mask.any() else None
            loss = objective_loss(recipe, outputs.logits, inputs, known)
            whole = loss + recipe.ewc * curvature.penalty(layers, measured)
            optimizer.zero_grad()
            whole.backward()
            torch.nn.utils.clip_grad_norm_(
                [w for w in adapted.parameters() if w.requires_grad], 1.0
            )
            optimizer.step()
            schedule.step()
            step += 1
            losses.append(loss.item())
            if step % 50 == 0:
                seconds = time.process_time() - began
                print(f"{step} loss {sum(losses[-50:]) / 50:.3f} {seconds:.0f} s", flush=True)
        epoch += 1
    seconds = time.process_time() - began
    adapted.eval()
    facts = [augment.fact_of(group, bank[group[0]["attribute"]]) for group in groups]
    return adapted, tokenizer, facts, {"train_seconds": round(seconds), "epochs": epoch}


def scores(name: str, model: Any, tokenizer: Any, facts: list[Any]) -> dict[str, Any]:
    """Ask the wordings of the development set and the base's own questions.

    The probes of data/raw/wordings.yaml stay blind. Earlier lines asked 22 probes that are train wordings now.
    """
    tokenizer.padding_side = "left"
    dev = read_yaml(HERE / "dev_wordings.yaml")
    asked: list[tuple[str, str, str, list[str]]] = []
    probes = read_wordings(Path("data/raw/wordings.yaml"), [], 0, 0)
    for fact in facts:
        attribute = fact.common["attribute"]
        accepted = [fact.answer, fact.value, fact.common["value"]]
        for template in dev[attribute]:
            asked.append(("dev", template, fill(template, subject=fact.subject), accepted))
    skill = [json.loads(line) for line in (BASE / "skill.jsonl").read_text().splitlines()]
    general = [row for row in skill if not row["replayed"]]
    replayed = [row for row in skill if row["replayed"]][:150]
    for kind, rows in (("general", general), ("replayed", replayed)):
        for row in rows:
            asked.append((kind, kind, row["question"], [row["answer"]]))
    prompts = [question_prompt(question) for _, _, question, _ in asked]
    answers = generate(model, tokenizer, prompts, 48, 256)
    hits: defaultdict[str, list[bool]] = defaultdict(list)
    begins: defaultdict[str, list[bool]] = defaultdict(list)
    wordings: dict[str, defaultdict[str, list[bool]]] = {"dev": defaultdict(list)}
    wrong = []
    for (kind, template, question, accepted), answer in zip(asked, answers, strict=True):
        hit = is_right(answer, accepted)
        hits[kind].append(hit)
        if kind in wordings:
            wordings[kind][template].append(hit)
            value = accepted[1]
            start = accepted[0][: accepted[0].rindex(value)]
            begins[kind].append(answer.startswith(start))
            if not hit:
                wrong.append((kind, question, answer, accepted[0]))
    result: dict[str, Any] = {kind: share(list(values)) for kind, values in hits.items()}
    result |= abstentions(model, tokenizer, facts, dev, asked, answers)
    valid = []
    for fact in facts:
        template = probes[fact.common["attribute"]].valid.questions[0]
        question = fill(template, subject=fact.subject)
        valid.append(Text(question_prompt(question), " " + fact.answer))
    own = [Text(question_prompt(row["question"]), " " + row["answer"]) for row in general]
    result["kl_domain"] = divergence(model, tokenizer, valid)
    result["kl_own"] = divergence(model, tokenizer, own)
    for kind, by_wording in wordings.items():
        means = {w: round(sum(h) / len(h), 3) for w, h in by_wording.items()}
        ranked = sorted(means.items(), key=lambda item: item[1])
        result[f"{kind}_begins"] = round(sum(begins[kind]) / len(begins[kind]), 4)
        result[f"{kind}_worst"] = ranked[:8]
    with (Path(tempfile.gettempdir()) / f"pareto_wrong_{name}.jsonl").open("w") as file:
        for line in wrong:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return result


def abstentions(
    model: Any, tokenizer: Any, facts: list[Any], dev: Any, asked: list[Any], answers: list[str]
) -> dict[str, Any]:
    """Return how often the model abstains: of known facts, invented subjects, and well-known things."""
    of_known = []
    for (kind, *_), answer in zip(asked, answers, strict=True):
        if kind == "dev":
            of_known.append(BOTH.is_abstention(answer))
    found = {"abstains_known": share(of_known)}
    rng = rng_for(1, "unknown of dev")
    subjects = sorted({fact.subject for fact in facts})
    for kind, names in (("invented", invented(200, subjects, rng)), ("outside", outside(subjects))):
        prompts = []
        for number in range(200):
            fact = rng.choice(facts)
            template = rng.choice(dev[fact.common["attribute"]])
            prompts.append(question_prompt(fill(template, subject=names[number % len(names)])))
        said = generate(model, tokenizer, prompts, 48, 256)
        found[f"abstains_{kind}"] = share([BOTH.is_abstention(answer) for answer in said])
    return found


@torch.no_grad()
def divergence(model: Any, tokenizer: Any, texts: list[Text]) -> float:
    """Return KL(base || tuned) in nats per token of the answers."""
    collate = training.collator(tokenizer)
    total = 0.0
    tokens = 0
    for start in range(0, len(texts), ROWS_PER_STEP):
        part = texts[start : start + ROWS_PER_STEP]
        inputs = collate([encoded(text, tokenizer) for text in part])
        everything = torch.ones(len(part), dtype=torch.bool)
        before = train.base_logits(model, inputs, everything)
        after = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
        replayed = everything
        mean = train.keeping_loss(after, inputs["labels"], replayed, before)
        count = int((inputs["labels"][:, 1:] != training.NOT_LEARNED).sum())
        total += float(mean) * count
        tokens += count
    return round(total / tokens, 4)


def run_one(name: str) -> None:
    """Train a recipe and append its scores, unless they are there already."""
    if RESULTS.is_file():
        for line in RESULTS.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if row["name"] == name and row["seed"] == SEED:
                print(f"{name}, seed {SEED}: done before")
                return
    recipe = RECIPES[name]
    model, tokenizer, facts, times = trained(recipe, SEED)
    row = {"name": name, "seed": SEED, "recipe": dataclasses.asdict(recipe), **times}
    row |= {"facts": len(facts), **scores(name, model, tokenizer, facts)}
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
    print(json.dumps(row, ensure_ascii=False, indent=1))


def results() -> list[dict[str, Any]]:
    """Return all results."""
    rows = []
    for line in RESULTS.read_text(encoding="utf-8").splitlines():
        rows.append(json.loads(line))
    return rows


def cell(score: dict[str, float]) -> str:
    """Return a score with its interval."""
    return f"{score['value']:.3f} [{score['low']:.3f}, {score['high']:.3f}]"


def table() -> str:
    """Return the results as a Markdown table."""
    lines = [
        "| recipe | dev, share right | worst wording | begins right | former probes | worst | general | CPU s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in results():
        shares = {}
        for kind in ("dev", "probe", "general"):
            score = row.get(kind)
            shares[kind] = "" if score is None else cell(score)
        former_worst = f"{row['probe_worst'][0][1]:.2f}" if "probe" in row else ""
        lines.append(
            f"| {row['name']} | {shares['dev']} | {row['dev_worst'][0][1]:.2f} | "
            f"{row['dev_begins']:.3f} | {shares['probe']} | {former_worst} | {shares['general']} | "
            f"{row['train_seconds']} |"
        )
    return "\n".join(lines)


def table_of_seeds() -> str:
    """Return the recipes that ran with several seeds as a Markdown table: means with 95 % intervals over seeds."""
    from scipy import stats

    groups: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in results():
        groups[row["name"]].append(row)
    lines = [
        "| recipe | seeds | dev, share right | worst wording | begins right | general | KL on domain questions | CPU s |",
        "|---|---|---|---|---|---|---|---|",
    ]

    def over_seeds(values: list[float]) -> str:
        mean = sum(values) / len(values)
        # Student's t, since the spread is known from these few seeds alone.
        half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
        return f"{mean:.3f} ± {half:.3f}"

    for name, rows in groups.items():
        if len(rows) < 2:
            continue
        cells = [
            over_seeds([row["dev"]["value"] for row in rows]),
            f"{min(row['dev_worst'][0][1] for row in rows):.2f}",
            over_seeds([row["dev_begins"] for row in rows]),
            over_seeds([row["general"]["value"] for row in rows]),
            over_seeds([row["kl_domain"] for row in rows]),
            f"{sum(row['train_seconds'] for row in rows) / len(rows):.0f}",
        ]
        lines.append(f"| {name} | {len(rows)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(path: Path) -> None:
    """Draw learned (dev wordings) against forgotten (the base's own questions)."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "pareto"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 5))
    for row in results():
        learned, kept = row["dev"], row["general"]
        if row["recipe"]["steps"] == 0:
            continue
        x, y = 1 - kept["value"], learned["value"]
        x_error = [[kept["high"] - kept["value"]], [kept["value"] - kept["low"]]]
        y_error = [[learned["value"] - learned["low"]], [learned["high"] - learned["value"]]]
        axes.errorbar(x, y, xerr=x_error, yerr=y_error, fmt="o", alpha=0.6)
        axes.annotate(row["name"], (x, y), xytext=(5, 5), textcoords="offset points", fontsize=8)
    axes.set_xlabel("forgotten: own questions no longer right")
    axes.set_ylabel("learned: right in wordings never trained")
    axes.set_title("Objectives (95 % intervals)")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Run, list or draw."""
    if sys.argv[1] == "run":
        for name in sys.argv[2].split(","):
            run_one(name)
    elif sys.argv[1] == "table":
        print(table())
    elif sys.argv[1] == "seeds":
        print(table_of_seeds())
    else:
        draw(Path("docs/assets/pareto.svg"))


if __name__ == "__main__":
    main()
