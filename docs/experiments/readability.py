"""How easy the code and the documents are to read, by revision.

    python docs/experiments/readability.py 11d8102 HEAD
    python docs/experiments/readability.py --folder ~/datatrove/src   # another project's code

Prints a Markdown table with one column for each revision. Code is all Python below stages/ and
lore/, tests are those below tests/, documents are all Markdown files. What a measure counts is
said in its function.
"""

import argparse
import ast
import io
import re
import statistics
import subprocess
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

CODE = ("stages/", "lore/")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n\s*\n")  # "One. Two!" and a blank line end a sentence
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)  # a code block of Markdown
MARKUP = re.compile(r"^\s*(?:#+|[-*]|\d+\.|\|).*$", re.MULTILINE)  # headings, list marks, tables
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Sources:
    """The files of one revision: path → text."""

    name: str
    files: dict[str, str]

    def code(self) -> list[str]:
        """Return the texts of all modules."""
        return [self.files[path] for path in sorted(self.files) if is_code(path)]

    def tests(self) -> list[str]:
        """Return the texts of all tests."""
        return [text for path, text in sorted(self.files.items()) if is_test(path)]

    def documents(self) -> list[str]:
        """Return the texts of all English documents."""
        return [text for path, text in sorted(self.files.items()) if is_document(path)]

    def functions(self) -> Iterator[Function]:
        """Yield every function and method of the code."""
        for text in self.code():
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, Function):
                    yield node


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("revisions", nargs="*", help="revisions of this repository")
    parser.add_argument("--folder", type=Path, action="append", default=[], help="other code")
    options = parser.parse_args()
    columns = [of_revision(name) for name in options.revisions]
    columns += [of_folder(folder) for folder in options.folder]
    print("| measure | " + " | ".join(sources.name for sources in columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for measure in MEASURES:
        label = " ".join((measure.__doc__ or "").split("\n")[0].rstrip(".").split())
        cells = [measure(sources) for sources in columns]
        print(f"| {label} | " + " | ".join(cells) + " |")


def of_revision(name: str) -> Sources:
    """Read all Python and Markdown files of a revision from git."""
    listed = subprocess.run(
        ["git", "ls-tree", "-r", "--name-only", name], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    files = {}
    for path in listed:
        if path.endswith((".py", ".md")):
            files[path] = subprocess.run(
                ["git", "show", f"{name}:{path}"], capture_output=True, text=True, check=True
            ).stdout
    return Sources(name, files)


def of_folder(folder: Path) -> Sources:
    """Read all Python files of a folder as code."""
    files = {f"lore/{path.relative_to(folder)}": path.read_text() for path in folder.rglob("*.py")}
    return Sources(folder.name, files)


def is_code(path: str) -> bool:
    """Tell whether a path is a module of the project."""
    return path.startswith(CODE) and path.endswith(".py")


def is_test(path: str) -> bool:
    """Tell whether a path is a test."""
    return path.startswith("tests/") and path.endswith(".py")


def is_document(path: str) -> bool:
    """Tell whether a path is an English document that is written by hand."""
    generated = path.startswith("docs/reference/")
    chinese = "zh" in path
    return path.endswith(".md") and not generated and not chinese


def body_of(function: Function) -> list[ast.stmt]:
    """Return a function's statements without its docstring."""
    if ast.get_docstring(function) is None:
        return function.body
    return function.body[1:]


def function_lines(sources: Sources) -> str:
    """Function lines, median / p90 / max."""
    lengths = [(node.end_lineno or 0) - node.lineno + 1 for node in sources.functions()]
    return f"{statistics.median(lengths):.0f} / {percentile(lengths, 90):.0f} / {max(lengths)}"


def nodes_per_line(sources: Sources) -> str:
    """Syntax nodes per line of function body, median.

    Names' contexts (load, store) and operators are not counted.
    """
    densities = []
    for function in sources.functions():
        body = body_of(function)
        if body:
            nodes = 0
            for statement in body:
                for node in ast.walk(statement):
                    if not isinstance(node, ast.expr_context | ast.operator):
                        nodes += 1
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1
            densities.append(nodes / lines)
    return f"{statistics.median(densities):.1f}"


def comprehensions(sources: Sources) -> str:
    """Comprehensions per 100 lines."""
    kinds = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    return f"{100 * count(sources, kinds) / lines_of(sources.code()):.1f}"


def nested_comprehensions(sources: Sources) -> str:
    """Comprehensions within comprehensions, per 1000 lines."""
    kinds = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    nested = 0
    for text in sources.code():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, kinds):
                inner = [below for below in ast.walk(node) if isinstance(below, kinds)]
                nested += len(inner) > 1 or len(node.generators) > 1
    return f"{1000 * nested / lines_of(sources.code()):.1f}"


def conditional_expressions(sources: Sources) -> str:
    """Conditional expressions per 1000 lines."""
    return f"{1000 * count(sources, (ast.IfExp,)) / lines_of(sources.code()):.0f}"


def comments(sources: Sources) -> str:
    """Comments per 100 lines."""
    number = 0
    for text in sources.code():
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)
        number += sum(token.type == tokenize.COMMENT for token in tokens)
    return f"{100 * number / lines_of(sources.code()):.1f}"


def line_length(sources: Sources) -> str:
    """Line length, p90 of lines that are not blank."""
    lengths = [len(line) for text in sources.code() for line in text.splitlines() if line.strip()]
    return f"{percentile(lengths, 90):.0f}"


def docstrings(sources: Sources) -> str:
    """Functions with a docstring."""
    functions = list(sources.functions())
    with_docstring = [node for node in functions if ast.get_docstring(node)]
    return f"{100 * len(with_docstring) / len(functions):.0f} %"


def test_lines(sources: Sources) -> str:
    """Test lines per source line."""
    if not sources.tests():
        return "–"
    return f"{lines_of(sources.tests()) / lines_of(sources.code()):.2f}"


def semicolons(sources: Sources) -> str:
    """Semicolons per sentence in documents."""
    if not sources.documents():
        return "–"
    sentences = [line for text in sources.documents() for line in sentences_of(text)]
    return f"{sum(line.count(';') for line in sentences) / len(sentences):.2f}"


def sentence_words(sources: Sources) -> str:
    """Words per sentence in documents, median / p90."""
    if not sources.documents():
        return "–"
    words = [len(line.split()) for text in sources.documents() for line in sentences_of(text)]
    return f"{statistics.median(words):.0f} / {percentile(words, 90):.0f}"


def docstring_semicolons(sources: Sources) -> str:
    """Semicolons per docstring and comment line of code."""
    lines = 0
    semicolons = 0
    for text in sources.code():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Module | ast.ClassDef | Function):
                docstring = ast.get_docstring(node) or ""
                lines += len(docstring.splitlines())
                semicolons += docstring.count(";")
    return f"{semicolons / max(1, lines):.2f}"


def headless_clauses(sources: Sources) -> str:
    """ "what", "which", "whose" per 100 words of the README."""
    text = prose_of(sources.files.get("README.md", ""))
    words = re.findall(r"[A-Za-z']+", text)
    if not words:
        return "–"
    chosen = [word for word in words if word.lower() in ("what", "which", "whose")]
    return f"{100 * len(chosen) / len(words):.1f}"


def prose_of(text: str) -> str:
    """Return a document without its code blocks, headings and tables."""
    return MARKUP.sub("", FENCE.sub("", text))


def sentences_of(text: str) -> list[str]:
    """Return a document's sentences of at least three words."""
    pieces = SENTENCE_END.split(FENCE.sub("", text))
    return [piece for piece in pieces if len(piece.split()) >= 3 and not piece.startswith("|")]


def count(sources: Sources, kinds: tuple[type[ast.AST], ...]) -> int:
    """Count the syntax nodes of some kinds in the code."""
    number = 0
    for text in sources.code():
        number += sum(isinstance(node, kinds) for node in ast.walk(ast.parse(text)))
    return number


def lines_of(texts: list[str]) -> int:
    """Count lines, blank ones included."""
    return sum(len(text.splitlines()) for text in texts)


def percentile(values: list[int], share: int) -> float:
    """Return a percentile; of one value, that value."""
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[share - 1]


MEASURES: tuple[Callable[[Sources], str], ...] = (
    function_lines,
    nodes_per_line,
    comprehensions,
    nested_comprehensions,
    conditional_expressions,
    comments,
    line_length,
    docstrings,
    docstring_semicolons,
    test_lines,
    semicolons,
    sentence_words,
    headless_clauses,
)


if __name__ == "__main__":
    main()
