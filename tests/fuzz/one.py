"""Fuzz one target in this process, until its time is over or a promise breaks.

`python -m tests.fuzz.one TARGET [options of libFuzzer] FOLDER`; an input that broke a promise is shown
again by `python -m tests.fuzz.one TARGET FILE`.
"""

import sys

import atheris


def main() -> None:
    """Hand the target to atheris, with the modules of the project watched line by line."""
    name, *options = sys.argv[1:]
    with atheris.instrument_imports(include=["stages", "lore"]):
        from tests.fuzz import targets
    targets.in_memory = True

    def one(data: bytes) -> None:
        targets.judge(name, data)

    atheris.Setup([sys.argv[0], *options], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
