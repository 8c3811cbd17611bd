"""Limits: buckets for each token of access, and places for requests that are being answered."""

import math
import time
from collections.abc import Callable

from lore.serving.errors import RATE_LIMIT, ApiError

MINUTE = 60.0


class Bucket:
    """A bucket that fills evenly (token bucket, as in RFC 2697 with one rate)."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """It holds one minute's amount, and is full at first."""
        self._most = float(per_minute)
        self._clock = clock
        self._level = self._most
        self._at = clock()

    def wait(self, amount: float = 1.0) -> float:
        """Return the seconds until `amount` is there. 0: it is."""
        self._fill()
        # Where more is asked than the bucket holds, a full one will do.
        missing = min(amount, self._most) - self._level
        return max(0.0, missing / self._most * MINUTE)

    def take(self, amount: float = 1.0) -> None:
        """Take an amount, which may leave less than nothing."""
        self._fill()
        self._level -= amount

    def _fill(self) -> None:
        now = self._clock()
        self._level = min(self._most, self._level + (now - self._at) / MINUTE * self._most)
        self._at = now


class Quotas:
    """Requests and tokens a minute of every name."""

    def __init__(
        self, requests: int, tokens: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._requests = requests
        self._tokens = tokens
        self._clock = clock
        self._buckets: dict[str, tuple[Bucket, Bucket]] = {}

    def of(self, name: str) -> tuple[Bucket, Bucket]:
        """Return the buckets of requests and of tokens of a name."""
        if name not in self._buckets:
            self._buckets[name] = (
                Bucket(self._requests, self._clock),
                Bucket(self._tokens, self._clock),
            )
        return self._buckets[name]

    def take_request(self, name: str) -> None:
        """Count one request. Raises ApiError where too many came within a minute."""
        bucket, _ = self.of(name)
        wait = bucket.wait()
        if wait > 0:
            raise too_many(f"more than {self._requests:,} requests a minute", wait)
        bucket.take()

    def take_tokens(self, name: str, amount: int) -> None:
        """Count the tokens of a prompt and of the longest answer.

        Raises ApiError where too many were asked for within a minute.
        """
        _, bucket = self.of(name)
        wait = bucket.wait(amount)
        if wait > 0:
            raise too_many(f"more than {self._tokens:,} tokens a minute", wait)
        bucket.take(amount)

    def give_back(self, name: str, amount: int) -> None:
        """Return tokens that an answer did not use."""
        _, bucket = self.of(name)
        bucket.take(-amount)


def too_many(what: str, wait: float) -> ApiError:
    """Return the refusal of a request that may come again after `wait` seconds."""
    seconds = max(1, math.ceil(wait))
    return ApiError(
        429,
        f"{what}; try again in {seconds} s",
        RATE_LIMIT,
        code="rate_limit_exceeded",
        retry_after=seconds,
    )


class Places:
    """Places for requests that wait or are being answered. Used in the server's event loop alone."""

    SMOOTHING = 0.1
    """Share of the newest answer in the mean time of an answer."""

    def __init__(self, batch: int, queue: int) -> None:
        """`batch` requests are answered at once, and `queue` may wait."""
        self._batch = batch
        self._most = batch + queue
        self._mean = 0.1
        self.taken = 0

    def take(self) -> None:
        """Take a place. Raises ApiError where there is none."""
        if self.taken >= self._most:
            wait = self._mean * self.taken / self._batch
            raise too_many(f"{self.taken} requests are waiting or being answered", wait)
        self.taken += 1

    def give_back(self, seconds: float) -> None:
        """Give a place back after an answer that took so long."""
        self.taken -= 1
        self._mean += self.SMOOTHING * (seconds - self._mean)
