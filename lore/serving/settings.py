"""The settings of a server, as `lore serve` takes them from its options."""

from dataclasses import dataclass
from typing import Literal

EngineName = Literal["auto", "torch", "genai", "vllm"]
ENGINES: tuple[EngineName, ...] = ("auto", "torch", "genai", "vllm")
Followed = Literal["alias", "workspace"]
FOLLOWED: tuple[Followed, ...] = ("alias", "workspace")


@dataclass(frozen=True)
class Limits:
    """What one request, one token of access and the whole server may take."""

    batch: int = 32
    """Answers that are written at once."""
    queue: int = 64
    """Requests that wait for a place in the batch. A further one is refused with 429."""
    answer_tokens: int = 64
    """Longest answer. A request may ask for less."""
    prompt_tokens: int = 512
    """Longest prompt. The model's own context counts where it is shorter."""
    body_bytes: int = 65_536
    """Largest body of a request."""
    header_seconds: float = 10.0
    """Longest time in which the headers of a request may arrive."""
    body_seconds: float = 10.0
    """Longest time in which a body may arrive."""
    stall_seconds: float = 30.0
    """Longest time in which a caller may read nothing of what was sent."""
    seconds: float = 30.0
    """Longest time from a request to the end of its answer."""
    requests_per_minute: int = 600
    """Requests of one token of access. All callers without a token count as one."""
    tokens_per_minute: int = 60_000
    """Prompt and answer tokens of one token of access."""
    connections: int = 512
    """Connections at once. A further one is refused with 503."""


@dataclass(frozen=True)
class Settings:
    """A server's settings."""

    host: str = "127.0.0.1"
    port: int = 8000
    variant: str = "distill"
    """The variant that answers."""
    engine: EngineName = "auto"
    """`auto`: genai where it is installed and the version has a float ONNX model, else torch."""
    follow: Followed = "alias"
    """`alias`: the version that MLflow's alias means. `workspace`: what lies in the project's folder."""
    every: float = 5.0
    """Seconds between two looks at what is followed."""
    canaries: int = 8
    """Recorded questions that a version must answer as recorded before it takes traffic."""
    canary_share: float = 1.0
    """Share of them that must be answered as recorded."""
    abstain: bool = False
    """Whether an answer becomes *I do not know.* where its confidence is below the limit that evaluate chose."""
    least: float = 0.5
    """Lowest cosine at which a record of the index answers."""
    names: tuple[str, ...] = ()
    """Further names of models that mean whatever version is served, for programs whose name is fixed."""
    candidate: str | None = None
    """A second version, which is served beside the one that is followed."""
    share: float = 0.0
    """Share of the callers that the candidate answers, where they name no version."""
    shadow: float = 0.0
    """Share of the other questions that the candidate answers too, for the comparison. Nobody sees these answers."""
    vllm_url: str | None = None
    """Address of a vLLM server, for the engine `vllm`."""
    vllm_model: str = "base"
    """Name of the model there, for a variant without an adapter."""
    request_log: str | None = None
    """File that requests are logged to, with personal data removed. None: requests are not logged."""
    feedback: bool = True
    """Whether the page may add marks of people to data/raw/feedback.jsonl."""
    limits: Limits = Limits()
