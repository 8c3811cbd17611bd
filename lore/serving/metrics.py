"""What Prometheus reads at /metrics."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24)
SIZES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The numbers of one server. Each server has a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "lorekeep_requests",
            "Requests by path, status and name of the token",
            ["path", "status", "token"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "lorekeep_request_seconds",
            "Time from a request to the end of its answer",
            ["path"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.first_token = Histogram(
            "lorekeep_first_token_seconds",
            "Time from a request to the first token of its answer",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.batch = Histogram(
            "lorekeep_batch_size",
            "Answers that a step of the model wrote at",
            buckets=SIZES,
            registry=self.registry,
        )
        self.tokens = Counter(
            "lorekeep_tokens", "Tokens of prompts and answers", ["kind"], registry=self.registry
        )
        self.waiting = Gauge(
            "lorekeep_requests_in_flight",
            "Requests that wait or are being answered",
            registry=self.registry,
        )
        self.agreement = Counter(
            "lorekeep_answers",
            "Answers by whether they state the value of the fact",
            ["agrees"],
            registry=self.registry,
        )
        self.swaps = Counter(
            "lorekeep_swaps", "Swaps of the version by result", ["result"], registry=self.registry
        )
        self.version = Gauge(
            "lorekeep_version",
            "1 for the version that is served",
            ["name", "identity", "variant", "generation"],
            registry=self.registry,
        )

    def serve(self, name: str, identity: str | None, variant: str, generation: int) -> None:
        """Say which version is served."""
        self.version.clear()
        self.version.labels(name, identity or "", variant, str(generation)).set(1)

    def text(self) -> bytes:
        """Return all numbers in Prometheus's text format."""
        return generate_latest(self.registry)
