"""Asking what is missing: several requests at a time, within the budget, each answer kept at once."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field, replace

from tqdm import tqdm

from lore.teaching.costs import SAFETY, Budget, prompt_tokens, tokens_in
from lore.teaching.endpoint import Endpoint, Refused, Unanswered
from lore.teaching.journal import Journal
from stages.augment.teacher.answers import REPAIRABLE, Failure, read_answer
from stages.augment.teacher.record import Attempt, Entry, entry_of
from stages.augment.teacher.requests import Request
from stages.augment.teacher.settings import Teacher
from stages.core.project.errors import InputError, LorekeepError

MOST_UNANSWERED = 5
"""Requests without an answer, one after the other, from which on the endpoint is taken to be down."""
MOST_REFUSED = 3
"""Refused requests without any answer, from which on the settings are taken to be wrong."""
REPAIR = (
    "Your answer could not be used: {reason}. Answer again, with one JSON object in exactly the form that was "
    "asked for, and nothing else."
)


@dataclass
class Outcome:
    """What became of a run."""

    answered: int = 0
    """Requests that have an answer now."""
    calls: int = 0
    """Attempts that were answered: one for each request, and one for each repair."""
    failed: Counter[str] = field(default_factory=Counter)
    """Answers that could not be read, by reason. They are in the record and are not asked for again."""
    unanswered: Counter[str] = field(default_factory=Counter)
    """Requests without an answer, by reason. The next run asks them."""
    input_tokens: int = 0
    output_tokens: int = 0
    stopped: str = ""
    """Why the run ended early. Empty: it did not."""
    error: LorekeepError | None = None
    """What makes further requests pointless."""


class Run:
    """One run over the missing requests."""

    def __init__(
        self,
        teacher: Teacher,
        requests: list[Request],
        journal: Journal,
        budget: Budget,
        answered_before: bool = False,
    ) -> None:
        """`answered_before`: the record has answers of this endpoint to the same settings.

        Raises InputError where there is no key.
        """
        self.endpoint = Endpoint(teacher)
        self.teacher = teacher
        self.waiting = list(reversed(requests))
        self.journal = journal
        self.budget = budget
        self.answered_before = answered_before
        self.outcome = Outcome()
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.in_a_row = 0
        """Requests without an answer since the last answer."""
        self.refused: list[tuple[Request, Refused]] = []
        """Refused requests, until one that is answered shows that the settings are right."""
        self.bar = tqdm(
            total=len(requests), desc="asking", unit="request", disable=None, leave=False
        )

    def all(self) -> Outcome:
        """Ask all requests. Ctrl-C waits for those on the way; a second one leaves them."""
        # Alone, until it is known which form of answer the endpoint supports.
        self.work(until_it_works=True)
        threads_done = []
        for _ in range(min(self.teacher.concurrency, len(self.waiting))):
            done = threading.Event()
            threading.Thread(target=self.work_in_thread, args=(done,), daemon=True).start()
            threads_done.append(done)
        try:
            self.wait_for(threads_done)
        except KeyboardInterrupt:
            self.end("stopped by Ctrl-C")
            tqdm.write("waiting for the requests on the way; Ctrl-C once more leaves them")
            self.wait_for(threads_done)
        finally:
            self.bar.close()
        if self.refused and not self.outcome.error and not self.outcome.stopped:
            self.left_refused()
        return self.outcome

    def left_refused(self) -> None:
        """Decide about refused requests where none was answered in this run.

        If the record has answers to the same settings, the requests themselves are at fault. Else the settings are.
        """
        if not self.answered_before:
            self.settings_are_wrong()
            return
        refused, self.refused = self.refused, []
        for request, refusal in refused:
            self.keep_refusal(request, refusal)

    def wait_for(self, threads_done: list[threading.Event]) -> None:
        """Wait until all threads are done, open to Ctrl-C.

        It waits for events and not with `Thread.join`: where Ctrl-C comes during a join, Python before 3.13 takes
        the running thread for ended, and the request that it waits for would be lost.
        """
        for done in threads_done:
            while not done.wait(0.2):
                pass

    def work_in_thread(self, done: threading.Event) -> None:
        """Work, and say when it is over, however it ends."""
        try:
            self.work()
        finally:
            done.set()

    def work(self, until_it_works: bool = False) -> None:
        """Ask one request after the other. `until_it_works`: only until one was answered."""
        try:
            while not self.stop.is_set():
                with self.lock:
                    request = self.waiting.pop() if self.waiting else None
                if request is None:
                    return
                self.one(request)
                self.bar.update()
                if until_it_works and self.endpoint.works:
                    return
        except LorekeepError as error:
            self.outcome.error = self.outcome.error or error
            self.end("")
        except OSError as error:
            # The journal could not be written. Answers must not be asked for and then lost.
            self.outcome.error = InputError(
                f"{self.journal.path}: {error.strerror}; nothing more was asked"
            )
            self.end("")

    def one(self, request: Request) -> None:
        """Ask one request, repair its answer once where it cannot be read, and keep it."""
        started = time.perf_counter()
        messages = request.messages
        attempts: list[Attempt] = []
        try:
            for _ in range(2):
                attempt = self.paid(request, messages)
                if attempt is None:
                    if not attempts:
                        return
                    break
                attempts.append(attempt)
                form = read_answer(request.task, attempt.answer, attempt.finish_reason)
                if not isinstance(form, Failure) or form.reason not in REPAIRABLE:
                    break
                told = REPAIR.format(reason=f"{form.reason}: {form.detail}"[:300])
                messages = [
                    *request.messages,
                    {"role": "assistant", "content": attempt.answer},
                    {"role": "user", "content": told},
                ]
        except Unanswered as reason:
            if not attempts:
                self.note_unanswered(str(reason))
                return
        except Refused as refusal:
            if not attempts:
                self.note_refused(request, refusal)
                return
        seconds = round(time.perf_counter() - started, 2)
        self.keep(entry_of(request, attempts, seconds=seconds))

    def paid(self, request: Request, messages: list[dict[str, str]]) -> Attempt | None:
        """Send messages within the budget. None where they do not fit any more."""
        prompt = prompt_tokens(messages)
        aside = (prompt * SAFETY, float(request.settings["max_tokens"]))
        if not self.budget.set_aside(*aside):
            if not self.stop.is_set():
                self.end("the budget is used up (augment.teacher.budget)")
            return None
        spent = (0.0, 0.0)
        try:
            attempt = self.endpoint.ask(request.task, messages)
            if not attempt.input_tokens and not attempt.output_tokens:
                attempt = estimated(attempt, prompt)
            spent = (attempt.input_tokens, attempt.output_tokens)
            return attempt
        finally:
            self.budget.settle(aside, spent)

    def keep(self, entry: Entry) -> None:
        """Write an answer into the journal, and count it."""
        with self.lock:
            self.journal.add(entry)
            self.outcome.answered += 1
            self.outcome.calls += len(entry.attempts)
            self.outcome.input_tokens += entry.input_tokens
            self.outcome.output_tokens += entry.output_tokens
            self.in_a_row = 0
            refused, self.refused = self.refused, []
            form = entry.read()
            if isinstance(form, Failure):
                self.outcome.failed[form.reason] += 1
        for request, refusal in refused:
            self.keep_refusal(request, refusal)

    def note_unanswered(self, reason: str) -> None:
        """Count a request without an answer. Several in a row end the run."""
        with self.lock:
            self.outcome.unanswered[reason] += 1
            self.in_a_row += 1
            is_down = self.in_a_row >= max(MOST_UNANSWERED, self.teacher.concurrency + 1)
        if is_down:
            self.end(f"{self.in_a_row} requests in a row had no answer")

    def note_refused(self, request: Request, refusal: Refused) -> None:
        """Keep a refusal as an answer, if others were answered. Else wait whether any is."""
        if self.endpoint.works:
            self.keep_refusal(request, refusal)
            return
        self.refused.append((request, refusal))
        if len(self.refused) >= MOST_REFUSED:
            self.settings_are_wrong()

    def keep_refusal(self, request: Request, refusal: Refused) -> None:
        """Keep a request that the endpoint refuses as answered, so that it is not sent for ever."""
        reason = str(refusal) or "refused"
        attempt = Attempt(reason, "refused")
        self.keep(entry_of(request, [attempt]))

    def settings_are_wrong(self) -> None:
        """End the run, because the endpoint refused everything. Nothing of it is kept."""
        _, refusal = self.refused[-1]
        self.outcome.error = InputError(
            f"{self.teacher.base_url} refuses every request: {refusal}\n  check augment.teacher: model "
            f"({self.teacher.model}), temperature (null is not sent), max_tokens, structured"
        )
        self.end("")

    def end(self, why: str) -> None:
        """Hand out no more requests."""
        self.outcome.stopped = self.outcome.stopped or why
        self.stop.set()
        self.budget.close()


def estimated(attempt: Attempt, prompt: int) -> Attempt:
    """Return an attempt with estimated tokens, for an endpoint that does not count them."""
    return replace(attempt, input_tokens=prompt, output_tokens=tokens_in(attempt.answer))
