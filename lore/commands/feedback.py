"""Let a person choose between two answers, and keep the judgement as data.

Answers of two variants, or of two versions, are shown one pair after another. Which is which stays hidden, and the
seed decides the order. The answers come from the table of `evaluate`, so no model is asked. Only questions with
different answers are shown. Each judgement is a line in data/raw/feedback.jsonl, which git versions. The stage
`reward` learns from it.

In the terminal, type 1, 2 or 0, and a reason if you like. With --page the same happens on a page of this machine,
with the keys 1, 2 and 0, in English or Chinese. --withdraw takes a judgement back: it is gone from the data at once,
and from the model after dvc repro.

Examples: `lore feedback --models train distill --number 40`, `lore feedback --versions knowledge@v1.0.0 HEAD --page`.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from stages.core.models.variants import NAMES
from stages.core.project.errors import InputError

if TYPE_CHECKING:
    from lore.feedback.pairs import Pair
    from lore.feedback.session import Session
    from stages.core.records.feedback import Judgement

MODELS = ("train", "distill")
NUMBER = 40
HELP = "1: the first is better   2: the second   0: neither   s: skip   q: stop"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lore feedback`."""
    parser.add_argument(
        "--models", nargs=2, choices=NAMES, metavar=("VARIANT", "VARIANT"),
        help=f"the two variants; default: {' '.join(MODELS)}, and with --versions train train",
    )  # fmt: skip
    parser.add_argument(
        "--versions", nargs=2, metavar="VERSION",
        help="the version of each; default: the files here for both",
    )  # fmt: skip
    parser.add_argument(
        "--pairs", type=Path, metavar="FILE",
        help="show these pairs instead: JSON Lines with question, first and second",
    )  # fmt: skip
    parser.add_argument(
        "--number", type=positive, default=NUMBER, metavar="N",
        help=f"most pairs to show; default: {NUMBER}",
    )  # fmt: skip
    parser.add_argument(
        "--who", help="who judges; default: user.name of git, else the name of the login"
    )
    parser.add_argument("--page", action="store_true", help="judge on a page in the browser")
    parser.add_argument(
        "--port", type=port, default=0, help="port of the page; default: any free one"
    )
    parser.add_argument(
        "--list", action="store_true", help="show the judgements, and the lines set aside"
    )
    parser.add_argument("--withdraw", metavar="ID", help="take a judgement back")
    parser.add_argument("--why", default="", help="with --withdraw: the reason")


def positive(text: str) -> int:
    """Return a number of pairs."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f"{text} is no number of pairs; write a whole number from 1"
        )
    return int(text)


def port(text: str) -> int:
    """Return a port."""
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port; write a whole number up to 65535")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Show pairs and keep the judgements, or list or withdraw them.

    Raises InputError where a version or a file cannot be read, or nothing is left to judge.
    """
    from lore.feedback import file
    from lore.feedback.session import Session
    from lore.rendering.terminal import shown
    from stages.core.records import feedback

    if options.list:
        show_all()
        return 0
    who = options.who or name_of_the_person()
    if options.withdraw:
        gone = file.withdraw(options.withdraw, who, options.why)
        print(shown(f"withdrawn: {gone.id}, {gone.who} on {gone.question}"))
        print("dvc repro reward makes a model without it. Earlier commits still hold it.")
        return 0

    known = feedback.read(file.PATH)
    for aside in known.set_aside:
        line = f"{file.PATH}, line {aside.line}: set aside: {aside.reason}"
        print(shown(f"lore feedback: {line}"), file=sys.stderr)
    session = Session(pairs_to_show(options, known.judgements, who), who)
    if options.page:
        on_page(session, options.port)
    else:
        in_terminal(session)
    summarize(session)
    return 0


def pairs_to_show(
    options: argparse.Namespace, judgements: "list[Judgement]", who: str
) -> "list[Pair]":
    """Return the pairs that this person has not judged, in the order of the seed. Raises InputError."""
    from lore.feedback import pairs
    from stages.core.project.params import Run, read_section

    if options.pairs:
        all_pairs = pairs.of_file(options.pairs)
    else:
        all_pairs = pairs_of_versions(options)
    seed = read_section("run", Run).seed
    # By the order of all pairs, so that those judged before change the order of no other.
    open_pairs = pairs.not_judged(pairs.mixed(all_pairs, seed), judgements, who)
    if not open_pairs:
        found = (
            f"{who} has judged all {len(all_pairs):,} pairs" if all_pairs else "no answers differ"
        )
        raise InputError(
            f"nothing to judge: {found}; name other variants (--models) or versions (--versions)"
        )
    return open_pairs[: options.number]


def pairs_of_versions(options: argparse.Namespace) -> "list[Pair]":
    """Return the questions on which the two sides differ. Raises InputError."""
    from lore.feedback import pairs
    from lore.versions import version

    if options.versions:
        versions = [version.revision(name) for name in options.versions]
        models = options.models or ("train", "train")
    else:
        versions = [version.workspace(), version.workspace()]
        models = options.models or MODELS
    names = []
    for of_version, model in zip(versions, models, strict=True):
        names.append(f"{model} of {of_version.label}" if options.versions else model)
    if names[0] == names[1]:
        raise InputError(f"both sides are {names[0]}; name two different ones")
    one = pairs.answers_of(versions[0], models[0])
    other = pairs.answers_of(versions[1], models[1])
    return pairs.of_answers(one, other, (names[0], names[1]))


def name_of_the_person() -> str:
    """Return the name that `person.name_here` finds. Raises InputError where there is none."""
    from lore.feedback import person

    name = person.name_here()
    if not name:
        raise InputError("nobody is named; write who judges: --who NAME")
    return name


def in_terminal(session: "Session") -> None:
    """Show each pair, and read a key and a reason. The end of the input ends it, as `q` does."""
    from lore.feedback.session import OF_KEY
    from lore.rendering.terminal import shown

    print(f"{len(session.pairs):,} pairs. {HELP}")
    while (current := session.current()) is not None:
        number, pair = current
        print(f"\n{number + 1} of {len(session.pairs):,}: {shown(pair.question)}")
        print(f"  1  {shown(pair.first)}\n  2  {shown(pair.second)}")
        key = asked("better (1, 2, 0, s, q): ")
        if key in ("q", None):
            return
        if key == "s":
            session.skip(number)
        elif key in OF_KEY:
            why = asked("why (may stay empty): ")
            session.judge(number, OF_KEY[key], why or "")
        else:
            print(HELP)


def asked(prompt: str) -> str | None:
    """Return a line that a person typed, or None at the end of the input."""
    try:
        return input(prompt).strip()
    except (EOFError, KeyboardInterrupt):
        print()
        return None


def on_page(session: "Session", number: int) -> None:
    """Serve the page until all pairs are through, or Ctrl-C."""
    from lore.feedback.page import Server

    with Server(session, number) as server:
        print(f"open {server.address}", flush=True)
        print("Ctrl-C ends it. What was judged is kept at once.", flush=True)
        try:
            server.serve_forever(poll_interval=0.1)
        except KeyboardInterrupt:
            print()


def summarize(session: "Session") -> None:
    """Print what was judged, and only now who gave which answers."""
    from lore.feedback import file
    from lore.feedback.session import tally
    from lore.rendering.terminal import shown

    print(f"\n{len(session.made):,} judgements added to {file.PATH}")
    for name, count in tally(session.made):
        print(shown(f"  {name}: {count:,}"))
    if session.made:
        print(f"commit {file.PATH}; dvc repro reward learns from it, where reward.model is set")


def show_all() -> None:
    """Print the judgements that count, and what does not count, with the reason."""
    from lore.feedback import file
    from lore.rendering.terminal import shown
    from stages.core.records import feedback

    content = feedback.read(file.PATH)
    for one in content.judgements:
        preferred = one.preferred()
        said = f"“{preferred[0]}” over “{preferred[1]}”" if preferred else "neither is better"
        reason = f" ({one.why})" if one.why else ""
        print(shown(f"{one.id}  {one.when}  {one.who}: {one.question} {said}{reason}"))
    for aside in content.set_aside:
        print(shown(f"line {aside.line} is set aside: {aside.reason}: {aside.content[:80]}"))
    print(
        f"{len(content.judgements):,} judgements, {len(content.replaced):,} replaced by later ones, "
        f"{len(content.withdrawn):,} withdrawn, {len(content.set_aside):,} lines set aside"
    )
