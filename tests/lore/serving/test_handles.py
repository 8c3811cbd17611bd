"""Handles: the process may have as many connections open as the server allows, or does not start."""

import pytest

from lore.serving import handles
from stages.core.project.errors import InputError

resource = pytest.importorskip("resource", reason="only POSIX systems have such limits")


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The limits (soft, hard) as they are set, the newest last."""
    settings = [(700, 1024)]
    monkeypatch.setattr(resource, "getrlimit", lambda which: settings[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda which, pair: settings.append(pair))
    return settings


def test_the_limit_is_raised_where_it_is_too_low(limits: list[tuple[int, int]]) -> None:
    handles.allow(100)
    assert limits == [(700, 1024)]
    handles.allow(300)
    assert limits[-1] == (300 + handles.OTHERS, 1024)


def test_more_than_the_system_allows_is_refused(limits: list[tuple[int, int]]) -> None:
    with pytest.raises(InputError, match="1512 open files are needed, and the system allows 1024"):
        handles.allow(1000)
