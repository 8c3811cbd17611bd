"""Access: tokens from the environment or a private file; no server for others without tokens."""

from pathlib import Path

import pytest

from lore.serving.access import ANYONE, VARIABLE, Access, is_loopback, require_tokens, tokens_of
from stages.core.project.errors import InputError

LONG = "0123456789abcdef"


def test_the_name_of_a_right_token_is_found() -> None:
    access = Access({"app": LONG, "other": LONG[::-1]})
    assert access.name_of(f"Bearer {LONG}") == "app"
    assert access.name_of(f"bearer  {LONG[::-1]} ") == "other"
    for wrong in (
        None,
        "",
        LONG,
        "Bearer",
        "Bearer ",
        f"Basic {LONG}",
        f"Bearer {LONG}x",
        "Bearer é",
    ):
        assert access.name_of(wrong) is None
    assert not access.is_open


def test_without_tokens_everyone_may_ask() -> None:
    assert Access({}).name_of(None) == ANYONE


def test_tokens_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert tokens_of(None) == {}
    monkeypatch.setenv(VARIABLE, f"app:{LONG}, phone:{LONG}:2,")
    assert tokens_of(None) == {"app": LONG, "phone": f"{LONG}:2"}


def test_tokens_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"# callers\n\napp:{LONG}\n")
    file.chmod(0o600)
    assert tokens_of(file) == {"app": LONG}
    file.chmod(0o640)
    with pytest.raises(InputError, match=r"others may read it; chmod 600"):
        tokens_of(file)
    file.chmod(0o600)
    file.write_text("# nobody\n")
    with pytest.raises(InputError, match="no token in it; write a line name:token"):
        tokens_of(file)
    with pytest.raises(InputError, match="the tokens cannot be read"):
        tokens_of(tmp_path / "missing")


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (LONG, "entry 1: write name:token"),
        (f"a b:{LONG}", "entry 1: write name:token"),
        ("app:short", r"entry 1 \(app\): the token needs 16 ASCII characters or more"),
        (f"app:{LONG}é", r"entry 1 \(app\): the token needs 16 ASCII"),
        (f"app:{LONG},app:{LONG}2", "entry 2: the name app is there twice"),
        (f"app:{LONG},b:{LONG}", r"entry 2 \(b\): another name has the same token"),
    ],
)
def test_tokens_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, written: str, message: str
) -> None:
    monkeypatch.setenv(VARIABLE, written)
    with pytest.raises(InputError, match=message) as caught:
        tokens_of(None)
    assert LONG not in str(caught.value)


def test_only_this_machine_without_tokens() -> None:
    for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost"):
        assert is_loopback(host)
        require_tokens(host, Access({}))
    for host in ("0.0.0.0", "::", "192.168.1.2", "example.org", ""):
        assert not is_loopback(host)
        with pytest.raises(InputError, match="other machines could ask without a token"):
            require_tokens(host, Access({}))
        require_tokens(host, Access({"app": LONG}))
