"""Logs: events as JSON lines on standard error, and the request log that somebody opted in to.

The request log has personal data removed by the rules of the stage `clean`. It names tokens of access, and
holds none.
"""

import json
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from stages.core.project.errors import InputError

CHINESE_FROM, CHINESE_TO = "\u3400", "\u9fff"


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of an event."""
        event = {
            "time": timestamp(record.created),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            event["error"] = self.formatException(record.exc_info)
        return json.dumps(event, ensure_ascii=False)


def to_standard_error() -> None:
    """Send the server's events, and uvicorn's, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name, level in (("lore.serving", logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False


def timestamp(seconds: float) -> str:
    """Return a time as ISO 8601 in UTC."""
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"


class RequestLog:
    """A file with a JSON line for each answered question."""

    def __init__(self, path: Path) -> None:
        """Open the file for its owner alone. Raises InputError where it cannot be written."""
        try:
            handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise InputError(
                f"--request-log {path}: cannot be written ({error.strerror})"
            ) from None
        self._file = os.fdopen(handle, "a", encoding="utf-8")
        self._lock = threading.Lock()

    def add(self, question: str, answer: str, **more: Any) -> None:
        """Write a line. Personal data in question and answer is replaced by the name of its kind."""
        event = {
            "time": timestamp(time.time()),
            "question": without_personal_data(question),
            "answer": without_personal_data(answer),
            **more,
        }
        line = json.dumps(event, ensure_ascii=False)
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def without_personal_data(text: str) -> str:
    """Return a text with each piece of personal data replaced by the name of its kind, as `clean` does."""
    from stages.clean.personal.actions import replaced
    from stages.clean.personal.find import find_personal
    from stages.clean.span import rewrite

    is_chinese = any(CHINESE_FROM <= letter <= CHINESE_TO for letter in text)
    spans = find_personal(text, "zh" if is_chinese else "en")
    return rewrite(text, spans, lambda span: replaced(span.kind))
