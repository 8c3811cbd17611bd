"""Answer questions over HTTP, in the form of OpenAI's API.

Each answer names the knowledge version, the variant, the fact that the question is about with its sources,
and whether the answer states that fact's value. The version is the one that MLflow's alias means. `lore
release` and `lore rollback` move the alias as their last step, and the server follows within seconds: it
loads the version beside the present one, asks recorded questions, and swaps only if they are answered as
recorded. Requests that have begun keep their version. Without an alias, what lies in this folder is served.

A second version can be served beside it: `lore serve --candidate 1.3.0 --share 0.05` lets it answer 5 % of the
callers (a percentage canary), and `--shadow 1` lets it answer all other questions too, unseen. GET /v1/comparison
and the last lines of the command say how the two compare. A request chooses with "model": "lorekeep@1.3.0".

Only this machine can ask, unless --host says otherwise. Then tokens are needed: LOREKEEP_TOKENS=name:token,…
or --tokens FILE. Example: `lore serve`, then in another terminal
`curl localhost:8000/v1/chat/completions -H 'Content-Type: application/json' -d '{"messages": [{"role":
"user", "content": "At what temperature does iron melt?"}]}'`. A page for people is at http://localhost:8000/.
SIGTERM or Ctrl-C ends the server after the requests that have begun.
"""

import argparse
import importlib.util
import os
from pathlib import Path

from lore.serving.settings import ENGINES, FOLLOWED, Limits, Settings
from stages.core.models.variants import NAMES
from stages.core.project.errors import InputError

LIBRARIES = ("fastapi", "uvicorn", "prometheus_client")
EXTRA = "pip install 'lorekeep[serve]' installs what is missing"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `lore serve`."""
    plain = Settings()
    limits = plain.limits
    parser.add_argument(
        "--model",
        choices=NAMES,
        default=plain.variant,
        help=f"variant that answers. Default: {plain.variant}",
    )
    parser.add_argument(
        "--model-name",
        action="append",
        default=[],
        metavar="NAME",
        help="a further name that requests may give the model, such as gpt-4o-mini, for programs that know OpenAI's "
        "names only. It may be given several times",
    )
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default=plain.engine,
        help="torch: PyTorch, for every variant. genai: onnxruntime-genai, a fifth to a half of the work on CPUs (extra serve, "
        "and onnx in export.formats). vllm: a vLLM server at --vllm-url. auto: genai where a version has onnx, else "
        f"torch. Default: {plain.engine}",
    )
    parser.add_argument("--vllm-url", metavar="URL", help="such as http://127.0.0.1:8001")
    parser.add_argument(
        "--vllm-model",
        default=plain.vllm_model,
        metavar="NAME",
        help="name of the model there (--served-model-name), for a variant without an adapter. "
        f"Default: {plain.vllm_model}",
    )
    parser.add_argument(
        "--follow",
        choices=FOLLOWED,
        default=plain.follow,
        help="alias: the version that MLflow's alias means. workspace: what lies here, loaded once. "
        f"Default: {plain.follow}",
    )
    parser.add_argument(
        "--every",
        type=positive,
        default=plain.every,
        metavar="SECONDS",
        help=f"time between two looks at the alias. Default: {plain.every:g}",
    )
    parser.add_argument(
        "--canaries",
        type=whole,
        default=plain.canaries,
        metavar="N",
        help="recorded questions that a version must answer as recorded before it takes traffic. "
        f"Default: {plain.canaries}",
    )
    parser.add_argument(
        "--canary-share",
        type=share,
        default=plain.canary_share,
        metavar="SHARE",
        help="share of them that must be right, for engines whose numbers differ from those of evaluate. "
        f"Default: {plain.canary_share:g}",
    )
    parser.add_argument(
        "--candidate",
        metavar="VERSION",
        help="a second version to serve beside: a release such as 1.3.0, a branch, tag or commit",
    )
    parser.add_argument(
        "--share",
        type=share,
        default=plain.share,
        metavar="SHARE",
        help="share of the callers that the candidate answers. A caller is told by the field user, else by the "
        f"name of the token, else by the question, and keeps its version. Default: {plain.share:g}",
    )
    parser.add_argument(
        "--shadow",
        type=share,
        default=plain.shadow,
        metavar="SHARE",
        help="share of the other questions that the candidate answers too, for the comparison alone. "
        f"Default: {plain.shadow:g}",
    )
    parser.add_argument(
        "--abstain",
        action="store_true",
        help="say 'I do not know.' where the model is less sure of its answer than the limit of evaluate.doubt. "
        "Answers then come whole, not word by word",
    )
    parser.add_argument(
        "--host", default=plain.host, help=f"address to listen at. Default: {plain.host}"
    )
    parser.add_argument(
        "--port", type=whole, default=plain.port, help=f"0 takes a free one. Default: {plain.port}"
    )
    parser.add_argument(
        "--tokens",
        type=Path,
        metavar="FILE",
        help="file with a line name:token for each caller, readable by its owner alone",
    )
    parser.add_argument(
        "--request-log",
        type=Path,
        metavar="FILE",
        help="log questions and answers there, with personal data removed. Default: they are not logged",
    )
    parser.add_argument(
        "--no-feedback",
        action="store_true",
        help="the page cannot mark answers right or wrong. Default: marks go to data/raw/feedback.jsonl",
    )
    group = parser.add_argument_group("limits")
    for option, value, meaning in (
        ("--batch", limits.batch, "answers that are written at once"),
        ("--queue", limits.queue, "requests that wait; a further one is refused with 429"),
        ("--answer-tokens", limits.answer_tokens, "longest answer"),
        ("--prompt-tokens", limits.prompt_tokens, "longest prompt"),
        ("--body-bytes", limits.body_bytes, "largest body of a request"),
        ("--requests-per-minute", limits.requests_per_minute, "requests of one token of access"),
        ("--tokens-per-minute", limits.tokens_per_minute, "tokens of one token of access"),
        ("--connections", limits.connections, "connections at once"),
    ):
        group.add_argument(
            option,
            type=one_or_more,
            default=value,
            metavar="N",
            help=f"{meaning}. Default: {value}",
        )
    group.add_argument(
        "--seconds",
        type=positive,
        default=limits.seconds,
        metavar="SECONDS",
        help=f"longest time to a whole answer. Default: {limits.seconds:g}",
    )


def whole(text: str) -> int:
    """Return a whole number of 0 or more. argparse shows the ValueError's type as a wrong value."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return value


def one_or_more(text: str) -> int:
    """Return a whole number of 1 or more."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is below 1")
    return value


def positive(text: str) -> float:
    """Return a number above 0."""
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def share(text: str) -> float:
    """Return a number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no share; write a number from 0 to 1")
    return value


def run(options: argparse.Namespace) -> int:
    """Serve until the end.

    Raises InputError for settings that do not fit together, or a library that is missing.
    """
    missing = [name for name in LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"lore serve needs {', '.join(missing)}; {EXTRA}")
    if (options.engine == "vllm") != (options.vllm_url is not None):
        raise InputError("--engine vllm and --vllm-url belong together; write both or neither")
    if options.candidate is None and (options.share or options.shadow):
        raise InputError(
            "--share and --shadow need --candidate VERSION, the version that they are about"
        )
    if options.abstain and options.engine not in ("auto", "torch"):
        raise InputError(
            f"--abstain: the engine {options.engine} does not tell how sure the model is; write --engine torch"
        )
    from lore.serving.access import Access, tokens_of
    from lore.serving.server import serve
    from stages.core.project.params import Run, read_section

    settings = settings_of(options)
    access = Access(tokens_of(options.tokens))
    threads = read_section("run", Run, Path("params.yaml")).threads
    # Threads that share a core wait for each other.
    serve(settings, access, min(threads, cores()))
    return 0


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def settings_of(options: argparse.Namespace) -> Settings:
    """Return the settings that the options say."""
    limits = Limits(
        batch=options.batch,
        queue=options.queue,
        answer_tokens=options.answer_tokens,
        prompt_tokens=options.prompt_tokens,
        body_bytes=options.body_bytes,
        seconds=options.seconds,
        requests_per_minute=options.requests_per_minute,
        tokens_per_minute=options.tokens_per_minute,
        connections=options.connections,
    )
    return Settings(
        host=options.host,
        port=options.port,
        variant=options.model,
        engine=options.engine,
        follow=options.follow,
        every=options.every,
        canaries=options.canaries,
        canary_share=options.canary_share,
        abstain=options.abstain,
        names=tuple(options.model_name),
        candidate=options.candidate,
        share=options.share,
        shadow=options.shadow,
        vllm_url=options.vllm_url,
        vllm_model=options.vllm_model,
        request_log=None if options.request_log is None else str(options.request_log),
        feedback=not options.no_feedback,
        limits=limits,
    )
