"""Say which stages `dvc repro` will run and why, and how long each took when it last ran here.

With --memory it also says whether tuning the base model fits this machine: LoRA and QLoRA, with and
without gradient checkpointing, with each way to share a step (ddp, ZeRO, fsdp2). What no setting can do is a dash, with
the reason below. It also says how long the inverse roots of EWC take. Nothing runs and nothing is
changed. Example: `lore plan`, then `lore plan --memory` after `lore overlay` of a model's profile.
`lore plan --memory --config FOLDER` needs a model's config.json alone. Exit code 0, 1 for an error.
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lore.planning import stages
from lore.planning.stages import COSTS, STAYS, STOPS, Step
from lore.rendering.terminal import json_text, shown_lines


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lore plan`."""
    parser.add_argument(
        "--memory",
        action="store_true",
        help="also say whether tuning the base model fits this machine; this takes seconds",
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FOLDER",
        help="with --memory: a folder with another model's config.json",
    )
    parser.add_argument(
        "--processes",
        type=int,
        metavar="N",
        help="with --memory: as on N devices; default: train.processes",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print the plan.

    Raises InputError where DVC cannot say what changed, or for --memory where config.json is missing.
    """
    from lore.comparison.declared_sources import undeclared
    from lore.versions.version import workspace

    planned = stages.steps()
    notes = undeclared(workspace())
    if options.json:
        report: dict[str, Any] = {
            "stages": [asdict(step) for step in planned],
            **stages.cost(planned),
            "notes": notes,
        }
        if options.memory:
            from lore.planning import memory_table

            report["memory"] = memory_table.as_json(options.config, options.processes)
        print(json_text(report), flush=True)
        return 0
    printed = [*lines(planned), *(f"! {note}" for note in notes)]
    print(shown_lines("\n".join(printed)), flush=True)
    if options.memory:
        from lore.planning import memory_table

        table = memory_table.lines(options.config, options.processes)
        print("\n" + "\n".join(table), flush=True)
    return 0


def lines(planned: list[Step]) -> list[str]:
    """Return the plan as text: each stage, its reasons below it, and the cost of the whole."""
    stage_width = 2 + max((len(step.stage) for step in planned), default=5)
    verdict_width = 2 + max((len(step.verdict) for step in planned), default=5)

    def row(stage: str, verdict: str, took: str, memory: str) -> str:
        texts = stage.ljust(stage_width) + verdict.ljust(verdict_width)
        numbers = took.rjust(9) + memory.rjust(11)
        return (texts + numbers).rstrip()

    printed = [row("stage", "verdict", "took", "memory")]
    for step in planned:
        printed.append(row(step.stage, step.verdict, shown_seconds(step), shown_bytes(step)))
        for reason in step.why:
            printed.append(" " * stage_width + reason)
    printed.append(summary(planned))
    return printed


def summary(planned: list[Step]) -> str:
    """Return the cost of the whole plan in one line."""
    if all(step.verdict == STAYS for step in planned):
        return "nothing runs: everything is up to date"
    stopped = [step for step in planned if step.verdict == STOPS]
    if stopped:
        first = stopped[0]
        return f"dvc repro stops at {first.stage}: {first.why[0]}"
    total = stages.cost(planned)
    spending = [step for step in planned if step.verdict in COSTS]
    if not spending:
        return "no stage is computed: the outputs come from the cache"
    if len(total["unknown"]) == len(spending):
        return "the time is not known: none of these stages has run here yet"
    least = f"at least {total['seconds_at_least']:,.0f} s"
    most = f"at most {total['seconds_at_most']:,.0f} s"
    unknown = ""
    if total["unknown"]:
        names = ", ".join(total["unknown"])
        unknown = f", without {names}: no run is recorded here"
    return f"{least}, {most}, by the last runs here{unknown}"


def shown_seconds(step: Step) -> str:
    """Return the seconds of the last run, where they would be spent again."""
    if step.seconds is None or step.verdict not in COSTS:
        return ""
    return f"{step.seconds:,.0f} s"


def shown_bytes(step: Step) -> str:
    """Return the peak memory of the last run, where it would be needed again."""
    if not step.peak_bytes or step.verdict not in COSTS:
        return ""
    gibibytes = step.peak_bytes / 2**30
    return f"{gibibytes:.1f} GiB"
