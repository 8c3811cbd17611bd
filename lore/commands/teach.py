"""Ask a language model for wordings, questions and paraphrases, and keep what it says as data.

The settings are in params.yaml (augment.teacher), and the key is in an environment variable. Every request is kept
with its answer below data/teacher, which git or DVC versions. A request that has an answer is never sent again, and
`dvc repro` sends none: it replays the record, and takes what passes its checks. The budget covers all answers of
the record together. Example: `dvc repro clean`, `lore teach --dry-run`, `export OPENAI_API_KEY=…`, `lore teach`,
then `dvc repro`.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stages.core.project.errors import InputError

if TYPE_CHECKING:
    from lore.teaching.asking import Outcome
    from lore.teaching.costs import Budget
    from lore.teaching.journal import Journal
    from lore.teaching.plan import Plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lore teach`."""
    action = parser.add_mutually_exclusive_group()
    action.add_argument(
        "--dry-run",
        action="store_true",
        help="show the missing requests with their estimated tokens and money; ask nothing",
    )
    action.add_argument(
        "--export",
        type=Path,
        metavar="FILE",
        help="write the missing requests as JSON lines, for another tool or for people; ask nothing",
    )
    action.add_argument(
        "--fill",
        type=Path,
        metavar="FILE",
        help="take answers from JSON lines with `key` and `answer` into the record; ask nothing",
    )
    action.add_argument(
        "--prune",
        action="store_true",
        help="remove answers that settings and records need no more; ask nothing",
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="ask those requests again, too, whose answer could not be read",
    )
    parser.epilog = (
        "Exit code 0: nothing is missing any more (or nothing was to be asked). 3: some requests have no answer "
        "yet; run it again. 1: an error. A run that is killed goes on where it was. Undo: git checkout data/teacher."
    )


def run(options: argparse.Namespace) -> int:
    """Ask what is missing, or do what the options say instead."""
    from lore.teaching import exchange
    from lore.teaching.costs import Budget
    from lore.teaching.journal import Journal, alone
    from lore.teaching.plan import FOLDER, plan_of
    from stages.augment.teacher.record import write_record

    if options.dry_run:
        plan = plan_of(again=options.again)
        budget = Budget(plan.teacher, plan.answered.values())
        print("\n".join(preview(plan, budget)))
        return 0
    with alone():
        journal = Journal(FOLDER)
        finished = journal.finish()
        if finished:
            print(f"an earlier run was cut off; its {finished:,} answers are in the record now")
        plan = plan_of(again=options.again)
        missing = plan.missing()
        if options.export:
            exchange.export(options.export, missing)
            print(f"{len(missing):,} requests → {options.export}")
            print(f"next: add `answer` to each line; lore teach --fill {options.export}")
            return 0
        if options.fill:
            filled = exchange.filled(options.fill, missing, set(plan.distinct))
            write_record(FOLDER, plan.answered | filled.record)
            left = len(missing) - len(filled.record)
            print(f"{len(filled.record):,} answers taken; {left:,} requests have none yet")
            if filled.problems:
                raise InputError("\n".join(["some lines were not taken:", *filled.problems]))
            print(next_step(left))
            return 0
        if options.prune:
            unneeded = plan.unneeded()
            kept = {key: entry for key, entry in plan.answered.items() if key not in set(unneeded)}
            write_record(FOLDER, kept)
            print(f"{len(unneeded):,} answers removed, {len(kept):,} kept")
            return 0
        return ask(plan, journal)


def ask(plan: "Plan", journal: "Journal") -> int:
    """Ask what is missing and print what became of it. Returns the exit code."""
    from lore.teaching.asking import Run
    from lore.teaching.costs import Budget

    missing = plan.missing()
    if not missing:
        print(f"all {len(plan.distinct):,} requests have an answer; nothing was asked")
        print(next_step(0))
        return 0
    budget = Budget(plan.teacher, plan.answered.values())
    asking = Run(plan.teacher, missing, journal, budget, plan.answered_before())
    try:
        outcome = asking.all()
    finally:
        with asking.lock:
            journal.finish()
    print("\n".join(report(plan, outcome, budget, len(missing))), flush=True)
    if outcome.error:
        raise outcome.error
    return 0 if outcome.answered == len(missing) else 3


def preview(plan: "Plan", budget: "Budget") -> Iterator[str]:
    """Yield the lines of a dry run: requests by task, tokens, money, and the budget."""
    from lore.teaching.costs import answer_tokens, money_of, prompt_tokens

    needed: Counter[tuple[str, str]] = Counter()
    for request in plan.distinct.values():
        needed[request.task, request.language] += 1
    missing = plan.missing()
    open_requests: Counter[tuple[str, str]] = Counter()
    for request in missing:
        open_requests[request.task, request.language] += 1
    yield f"{plan.teacher.model} at {plan.teacher.base_url}"
    yield f"  {'task':<16}{'language':<10}{'needed':>8}{'missing':>9}"
    for (task, language), count in sorted(needed.items()):
        yield f"  {task:<16}{language:<10}{count:>8,}{open_requests[task, language]:>9,}"
    for reason, count in sorted(plan.needed.not_asked.items()):
        yield f"  not asked, {reason.replace('_', ' ')}: {count:,}"
    prompts = sum(prompt_tokens(request.messages) for request in missing)
    answers = sum(answer_tokens(request) for request in missing)
    yield f"to be asked: {len(missing):,} requests, about {prompts:,} tokens in prompts and {answers:,} in answers"
    if plan.teacher.prices.input or plan.teacher.prices.output:
        money = money_of(plan.teacher.prices, prompts, answers)
        yield f"that is about {money:,.4f} at the prices of augment.teacher.prices"
    yield spent_line(budget)
    limit = budget.limits.tokens
    used = budget.input_tokens + budget.output_tokens
    if limit is not None and used + prompts + answers > limit:
        yield f"! more than the budget leaves: augment.teacher.budget.tokens is {limit:,}"
    unneeded = plan.unneeded()
    if unneeded:
        yield f"{len(unneeded):,} answers of the record are needed no more (lore teach --prune removes them)"
    yield "dry run: nothing was asked"


def report(plan: "Plan", outcome: "Outcome", budget: "Budget", missing: int) -> Iterator[str]:
    """Yield the lines about a run."""
    tokens = outcome.input_tokens + outcome.output_tokens
    yield (
        f"teach: {outcome.answered:,} of {missing:,} missing requests answered by {plan.teacher.model}, "
        f"{outcome.calls - outcome.answered:,} of them asked twice; {tokens:,} tokens"
    )
    for reason, count in sorted(outcome.failed.items()):
        yield f"  answer of no use, {reason}: {count:,} (kept; lore teach --again asks once more)"
    for reason, count in sorted(outcome.unanswered.items()):
        yield f"  no answer: {count:,} × {reason}"
    if outcome.stopped:
        yield f"  stopped early: {outcome.stopped}"
    yield f"  {spent_line(budget)}"
    yield next_step(missing - outcome.answered)


def spent_line(budget: "Budget") -> str:
    """Return what all answers of the record cost so far, and the limits."""
    tokens = int(budget.input_tokens + budget.output_tokens)
    limit = budget.limits.tokens
    line = f"spent so far: {tokens:,} tokens"
    if limit is not None:
        line += f" of {limit:,}"
    if budget.prices.input or budget.prices.output:
        line += f", {budget.money:,.4f} in money"
        if budget.limits.money is not None:
            line += f" of {budget.limits.money:,.4f}"
    return line


def next_step(left: int) -> str:
    """Return what to do next."""
    if left:
        return f"next: lore teach ({left:,} requests have no answer yet)"
    return "next: dvc repro; git add data/teacher; git commit"
