"""Write the reference pages from the code: `python docs/reference.py` (`make reference`).

- docs/reference/settings.md: every key of params.yaml, from the stages' `Params` dataclasses
- docs/reference/commands.md: every command of `lore`, from its --help
- docs/reference/params.schema.json: a JSON Schema of params.yaml, for editors

tests/test_reference.py checks that they are current.
"""

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from lore.__main__ import COMMANDS, parsers
from stages import STAGES
from stages.core.project import stage_modules
from stages.core.project.params import Run

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "reference"
DRAFT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]


def main() -> None:
    """Write the three files."""
    for name, text in pages().items():
        path = FOLDER / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))


def pages() -> dict[str, str]:
    """Return the content of each file, by name."""
    schema = params_schema()
    return {
        "settings.md": settings_page(schema),
        "commands.md": commands_page(),
        "params.schema.json": json.dumps(schema, ensure_ascii=False, indent=1) + "\n",
    }


def params_schema() -> Schema:
    """Return the JSON Schema of params.yaml: one property for `run` and one for each stage."""
    properties: Schema = {}
    definitions: Schema = {}
    types: dict[str, Any] = {"run": Run}
    for name in STAGES:
        types[name] = stage_modules.load(name).Params
    for name, expected in types.items():
        section = TypeAdapter(expected).json_schema(ref_template=f"#/$defs/{name}.{{model}}")
        for model, definition in section.pop("$defs", {}).items():
            definitions[f"{name}.{model}"] = definition
        properties[name] = section
    return {
        "$schema": DRAFT,
        "title": "params.yaml of a Lorekeep project",
        "type": "object",
        "properties": properties,
        "$defs": definitions,
    }


def settings_page(schema: Schema) -> str:
    """Return the page of all settings, a table for each section."""
    lines = [
        "# Settings",
        "",
        "Every key of `params.yaml`. This page is made from the code by `make reference`.",
        "",
        "A wrong key, type or value stops a stage before it does any work. The message names every",
        "mistake at once. `lore check` does the same for all sections.",
    ]
    for name, section in schema["properties"].items():
        lines += ["", f"## {name}", ""]
        if name in STAGES:
            lines += [first_sentence(stage_modules.load(name).__doc__ or ""), ""]
        lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
        lines += list(setting_rows(section, name, schema, shown=set()))
    return "\n".join(lines) + "\n"


def setting_rows(
    section: Schema, prefix: str, schema: Schema, shown: set[tuple[str, ...]]
) -> Iterator[str]:
    """Yield a table row for each key of a section, and for the keys below it.

    Of several forms, such as the kinds of sources, the common keys are shown once, before the forms.
    A form that stands in several sections is shown with the first of them: `shown` holds the keys of
    the mappings that stand above.
    """
    required = section.get("required", [])
    for key, described in section.get("properties", {}).items():
        path = f"{prefix}.{key}"
        default = "required" if key in required else default_of(described)
        meaning = cell(described.get("description", ""))
        yield f"| `{path}` | {cell(type_name(described))} | {cell(default)} | {meaning} |"
        forms = list(nested(described, schema))
        several = len(forms) > 1
        common = common_keys(forms) if several else {}
        if common:
            shared = {"properties": common, "required": forms[0].get("required", [])}
            yield from setting_rows(shared, path, schema, shown)
        for form in forms:
            # Each form is named by its kind: extract.sources[csv].delimiter.
            name = f"[{form_name(form)}]" if several else ""
            keys = (form_name(form), *form["properties"])
            if keys in shown:
                continue
            shown.add(keys)
            properties = dict(form["properties"])
            for common_key in common:
                del properties[common_key]
            yield from setting_rows(
                {**form, "properties": properties}, f"{path}{name}", schema, shown
            )


def default_of(described: Schema) -> str:
    """Return the default of a key in code quotes; a section's is that of its keys."""
    if "default" in described:
        return code(json.dumps(described["default"], ensure_ascii=False))
    # The schema does not say what a default factory makes: here an empty list or mapping,
    # or a section with its own defaults.
    kind = described.get("type")
    if kind == "array":
        return code("[]")
    return code("{}") if kind == "object" else "its keys' defaults"


def common_keys(forms: list[Schema]) -> Schema:
    """Return the keys that all forms describe in the same way."""
    first, *others = [form["properties"] for form in forms]
    common = {}
    for key, described in first.items():
        if all(other.get(key) == described for other in others):
            common[key] = described
    return common


def form_name(section: Schema) -> str:
    """Return the name of one of several forms: its fixed `kind`, else its title."""
    kind = section.get("properties", {}).get("kind", {})
    return str(kind.get("const", section.get("title", "")))


def nested(described: Schema, schema: Schema) -> Iterator[Schema]:
    """Yield the sections that a key may hold: its own, one of several, or those of a list."""
    reference = described.get("$ref")
    if reference:
        section = schema["$defs"][reference.removeprefix("#/$defs/")]
        if "properties" in section:
            yield section
    for choice in [*described.get("anyOf", []), *described.get("oneOf", [])]:
        yield from nested(choice, schema)
    for below in ("items", "additionalProperties"):
        if isinstance(described.get(below), dict):
            yield from nested(described[below], schema)


def type_name(described: Schema) -> str:
    """Return a type in words, such as `list of text` or `number or null`."""
    if "enum" in described:
        return " or ".join(code(str(value)) for value in described["enum"])
    if "const" in described:
        return code(str(described["const"]))
    choices = [*described.get("anyOf", []), *described.get("oneOf", [])]
    if choices:
        names = dict.fromkeys(type_name(choice) for choice in choices)
        return " or ".join(names)
    if "$ref" in described:
        return "mapping"
    kind = described.get("type", "any")
    if kind == "array":
        items = described.get("items")
        if not isinstance(items, dict):
            return "list"
        # A list of mappings, but a list of text.
        return f"list of {type_name(items)}".replace("of mapping", "of mappings")
    names = {
        "string": "text",
        "integer": "whole number",
        "boolean": "true or false",
        "object": "mapping",
    }
    return names.get(kind, kind)


def commands_page() -> str:
    """Return the page of all commands: usage, what each one does, its options."""
    _, commands = parsers()
    lines = [
        "# Commands",
        "",
        "`lore` works from any folder of a project. `lore --project FOLDER` names another project.",
        "This page is made from `--help` by `make reference`.",
        "",
        "| command | what it does |",
        "|---|---|",
    ]
    lines += [
        f"| [`lore {name}`](#lore-{name}) | {cell(text)} |" for name, text in COMMANDS.items()
    ]
    for name, command in commands.items():
        lines += ["", f"## lore {name}", "", paragraphs(command.description or ""), ""]
        lines += ["```text", usage(command), "```", ""]
        lines += list(option_rows(command))
        if command.epilog:
            lines += ["", paragraphs(command.epilog)]
    return "\n".join(lines) + "\n"


def usage(command: argparse.ArgumentParser) -> str:
    """Return the usage line of a command, without line breaks that depend on a terminal."""
    return " ".join(command.format_usage().removeprefix("usage: ").split())


def option_rows(command: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the table of a command's arguments and options."""
    actions = [action for action in command._actions if action.dest != "help"]
    if not actions:
        return
    yield "| argument | meaning |"
    yield "|---|---|"
    for action in actions:
        if action.option_strings:
            value = action.metavar or (action.dest.upper() if action.nargs != 0 else "")
            name = " ".join(filter(None, [", ".join(action.option_strings), str(value or "")]))
        else:
            name = str(action.metavar or action.dest)
        choices = f" One of {', '.join(map(str, action.choices))}." if action.choices else ""
        yield f"| {cell(code(name))} | {cell((action.help or '') + choices)} |"


def first_sentence(text: str) -> str:
    """Return the first paragraph of a docstring on one line."""
    return " ".join(text.split("\n\n", maxsplit=1)[0].split())


def paragraphs(text: str) -> str:
    """Return a docstring's paragraphs, each on one line; indented code stays as it is."""
    blocks = re.split(r"\n\s*\n", text.strip())
    joined = [block if block.startswith("    ") else " ".join(block.split()) for block in blocks]
    return "\n\n".join(joined)


def code(text: str) -> str:
    """Return text in code quotes."""
    return f"`{text}`"


def cell(text: str) -> str:
    """Return text that fits into one cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    main()
