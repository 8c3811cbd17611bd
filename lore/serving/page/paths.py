"""The paths of the page. They are no part of the API: the page alone asks them, and they change with it."""

import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from lore.feedback import person
from lore.serving.access import Access
from lore.serving.errors import AUTHENTICATION, SERVER, ApiError
from lore.serving.gate import TOKEN_NAME
from lore.serving.generations import Generation, Generations
from lore.serving.knowledge import Knowledge, Row
from lore.serving.page import compared, marks, raw_sources, shown_versions
from lore.serving.page.shown_versions import Shown
from lore.serving.schemas import STRICT
from lore.serving.settings import Settings
from stages.core.project.errors import LorekeepError

LOG = logging.getLogger("lore.serving")
FOLDER = Path(__file__).parent
PAGE = FOLDER / "page.html"
FILES = {
    "page.css": "text/css",
    "page.js": "text/javascript",
    "texts.js": "text/javascript",
}
"""Files that the page loads, by name, with their media types."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src blob: data:; "
    "media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""No script or style of another place or inside the page, and no text that becomes markup."""
CLOSED = "default-src 'none'; frame-ancestors 'none'; sandbox"
"""Policy of everything else: opened by itself, it may do nothing."""
LONGEST_QUESTION = 4_000
MOST_DIFFERENCES = 8
"""Comparisons of two versions that stay in memory."""
Name = Annotated[str, Query(max_length=200)]
Question = Annotated[str, Query(min_length=1, max_length=LONGEST_QUESTION)]


class Mark(BaseModel):
    """POST /page/feedback: a person says whether an answer is right."""

    model_config = STRICT
    question: Annotated[str, Field(min_length=1, max_length=20_000)]
    answer: Annotated[str, Field(min_length=1, max_length=20_000)]
    model: Annotated[str, Field(min_length=1, max_length=300)]
    """What answered, as the answer named it."""
    is_right: bool
    better: Annotated[str, Field(max_length=20_000)] = ""
    """The right answer, where the given one is wrong and the person knows better."""
    who: Annotated[str, Field(max_length=200)] = ""
    """The person's name. With tokens, the token's name counts instead."""
    why: Annotated[str, Field(max_length=2_000)] = ""


class Withdrawal(BaseModel):
    """POST /page/withdraw: the mark was a mistake."""

    model_config = STRICT
    id: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]


class Page:
    """What the paths of the page share."""

    def __init__(self, generations: Generations, settings: Settings, access: Access) -> None:
        self.generations = generations
        self.settings = settings
        self.access = access
        self.past = compared.Past()
        self.marks = marks.Marks()
        self._work = threading.Lock()
        self._differences: OrderedDict[tuple[str, str, str], dict[str, Any]] = OrderedDict()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let one comparison or drawing be at work. Raises ApiError where others take too long."""
        if not self._work.acquire(timeout=self.settings.limits.seconds):
            raise ApiError(
                503, "another comparison is at work; try again", SERVER, code="busy", retry_after=5
            )
        try:
            yield
        finally:
            self._work.release()

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Raise ApiError for what a person can mend. Where tokens are needed, the reason stays in the log."""
        try:
            yield
        except LorekeepError as error:
            LOG.warning("page: %s", error)
            message = str(error)
            if not self.access.is_open:
                message = "this cannot be read here; the server's log says why"
            raise ApiError(409, message, code="unreadable") from None

    def knowledge(self, shown: Shown, generation: Generation) -> Knowledge:
        """Return the records of a version. Raises InputError where they cannot be read."""
        if shown.is_served:
            return generation.knowledge
        return self.past.knowledge(shown.version)

    def difference(self, one: Shown, other: Shown, variant: str) -> dict[str, Any]:
        """Return what `lore diff` says of two versions. Committed ones never change, so it is remembered.

        Raises InputError where a part of a version is missing or damaged.
        """
        if one.version.commit is None or other.version.commit is None:
            return difference_of(one, other, variant)
        key = (one.version.commit, other.version.commit, variant)
        if key not in self._differences:
            self._differences[key] = difference_of(one, other, variant)
            if len(self._differences) > MOST_DIFFERENCES:
                self._differences.popitem(last=False)
        return self._differences[key]

    def row(self, record: str, shown: Shown, generation: Generation) -> Row:
        """Return a record by its id. Raises ApiError where the version has none."""
        row = self.knowledge(shown, generation).record(record)
        if row is None:
            raise ApiError(
                404, f"record {record}: not in {shown.name}", param="record", code="no_record"
            )
        return row


def from_the_page(request: Request) -> None:
    """Raise ApiError for a request that a page of another site made a browser send.

    Browsers say where a request comes from, in headers that a page cannot set.
    """
    site = request.headers.get("sec-fetch-site")
    if site not in (None, "same-origin", "none"):
        raise foreign()


def written_by_the_page(request: Request) -> None:
    """Raise ApiError for a request to write that does not say that it comes from this page.

    A page of another site cannot know a token. So with one, a program may write without a browser.
    """
    from_the_page(request)
    if request.headers.get("sec-fetch-site") == "same-origin":
        return
    origin = request.headers.get("origin")
    if origin is None and request.headers.get("authorization"):
        return
    if origin is None or urlsplit(origin).netloc != request.headers.get("host"):
        raise foreign()


def foreign() -> ApiError:
    """Return the refusal of a request from elsewhere."""
    return ApiError(
        403,
        "only the page of this server may ask this; open the address of the server itself",
        AUTHENTICATION,
        code="wrong_origin",
    )


def add_page(app: FastAPI, generations: Generations, settings: Settings, access: Access) -> None:
    """Add the page, its files and its paths."""
    page = Page(generations, settings, access)
    add_files(app)
    add_reading(app, page)
    if settings.feedback:
        add_marks(app, page)


def add_files(app: FastAPI) -> None:
    """Add the page and the files that it loads. They hold no data, so they need no token."""

    def static(name: str, kind: str) -> None:
        content = (FOLDER / name).read_text(encoding="utf-8")
        path = "/" if name == PAGE.name else f"/page/{name}"

        @app.get(path, include_in_schema=False)
        async def send() -> Response:
            headers = {"Content-Security-Policy": POLICY}
            return Response(content, media_type=kind, headers=headers)

    static(PAGE.name, "text/html")
    for name, kind in FILES.items():
        static(name, kind)


def add_reading(app: FastAPI, page: Page) -> None:
    """Add the paths that change nothing."""
    guarded = [Depends(from_the_page)]

    def answer(document: Any) -> Response:
        return JSONResponse(document, headers={"Content-Security-Policy": CLOSED})

    @app.get("/page/state", include_in_schema=False, dependencies=guarded)
    def state(request: Request) -> Response:
        """Return the versions to choose from, and who marks answers."""
        with page.explained(), page.generations.held_version("") as generation:
            versions = shown_versions.listed(generation, page.generations.candidate)
        who = person.name_here() if page.access.is_open else request.scope[TOKEN_NAME]
        return answer(
            {
                "versions": versions,
                "who": who,
                "who_is_fixed": not page.access.is_open,
                "feedback": page.settings.feedback,
            }
        )

    @app.get("/page/source", include_in_schema=False, dependencies=guarded)
    def source(record: Name, version: Name = "") -> Response:
        """Return the place in a raw file that a record comes from."""
        with page.explained(), page.generations.held_version(version) as generation:
            shown = shown_versions.find(version, generation)
            row = page.row(record, shown, generation)
            return answer(raw_sources.describe(shown, row))

    @app.get("/page/media", include_in_schema=False, dependencies=guarded)
    def media(record: Name, version: Name = "") -> Response:
        """Return the picture of the page, or the recording, that a record comes from."""
        with page.explained(), page.generations.held_version(version) as generation:
            shown = shown_versions.find(version, generation)
            row = page.row(record, shown, generation)
            with page.alone():
                content, kind, size = raw_sources.media_of(shown.version, row)
        headers = {"Content-Security-Policy": CLOSED, "X-Size": json.dumps(size)}
        return Response(content, media_type=kind, headers=headers)

    @app.get("/page/compare", include_in_schema=False, dependencies=guarded)
    def compare(question: Question, a: Name, b: Name) -> Response:
        """Return what two versions say on a question."""
        sides = []
        variant = page.generations.current.variant
        with page.explained(), page.alone():
            for name in (a, b):
                with page.generations.held_version(name) as generation:
                    shown = shown_versions.find(name, generation)
                    known = page.knowledge(shown, generation)
                    sides.append(compared.side(shown, known, question, variant))
        return answer({"variant": variant, "sides": sides})

    @app.get("/page/difference", include_in_schema=False, dependencies=guarded)
    def difference(a: Name, b: Name) -> Response:
        """Return what `lore diff` says of two versions."""
        shown = []
        with page.explained(), page.alone():
            for name in (a, b):
                with page.generations.held_version(name) as generation:
                    shown.append(shown_versions.find(name, generation))
            one, other = shown
            return answer(page.difference(one, other, page.generations.current.variant))


def difference_of(one: Shown, other: Shown, variant: str) -> dict[str, Any]:
    """Compare two versions as `lore diff` does. Raises InputError where one cannot be read."""
    from lore.comparison.difference import compare, sections_of
    from lore.rendering.report import BAD, GOOD

    found = compare(one.version, other.version, variant)
    sections = []
    for section in sections_of(found, everything=False):
        sections.append(
            {
                "title": section.title,
                "lines": section.lines,
                "columns": section.columns,
                "rows": section.rows,
            }
        )
    return {
        "a": one.name,
        "b": other.name,
        "notes": found.notes,
        "sections": sections,
        "good": sorted(GOOD),
        "bad": sorted(BAD),
    }


def add_marks(app: FastAPI, page: Page) -> None:
    """Add the paths that write to the file of judgements."""
    guarded = [Depends(written_by_the_page)]

    @app.post("/page/feedback", include_in_schema=False, dependencies=guarded)
    def feedback(request: Request, mark: Mark) -> Response:
        """Keep a mark as a judgement."""
        token = request.scope[TOKEN_NAME]
        who = mark.who.strip() if page.access.is_open else token
        if not who:
            raise ApiError(400, "who: write your name, so that the mark can be judged", param="who")
        with page.explained():
            judgement = marks.judgement_of(
                mark.question,
                mark.answer,
                mark.model,
                mark.is_right,
                mark.better,
                who,
                mark.why.strip(),
            )
            page.marks.keep(judgement, token)
        LOG.info("mark %s of %s was kept", judgement.id, who)
        return JSONResponse({"id": judgement.id, "who": who})

    @app.post("/page/withdraw", include_in_schema=False, dependencies=guarded)
    def withdraw(request: Request, withdrawal: Withdrawal) -> Response:
        """Take a mark back that the same caller made."""
        with page.explained():
            page.marks.withdraw(withdrawal.id, request.scope[TOKEN_NAME])
        return JSONResponse({"id": withdrawal.id})
