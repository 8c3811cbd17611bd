"""What every kind of source may declare beside its own settings."""

from pydantic.dataclasses import dataclass

from stages.core.params import STRICT


@dataclass(frozen=True, config=STRICT, kw_only=True)
class Common:
    """Settings that may be left out."""

    langs: list[str] | None = None
    """With `lang: auto`: the languages that the source's texts may be in."""
