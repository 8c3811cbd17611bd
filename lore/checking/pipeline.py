"""The checks of `lore check`. Each takes a project and returns its problems, a line each."""

import inspect
from collections.abc import Callable
from pathlib import Path

from lore.checking import base_files
from lore.checking.code_dependencies import code_dependencies, is_code, lock_file_of
from lore.checking.project import Project, StageEntry
from lore.checking.sources import undeclared_sources
from stages.core.project import git, stage_modules
from stages.core.project.errors import InputError, LorekeepError
from stages.core.project.params import Run, parse

SHARED_PARAMS = ["run.seed", "run.threads", "run.isa", "run.device"]
"""The keys of `run` that can change a byte of an output. Every stage lists them."""
CONVERTING = ("true", "input")
"""Values of core.autocrlf with which git changes line ends."""
MADE_BY_SETUP = ("data/wordnet",)
"""Inputs that set-up fetches, so neither git nor a stage has them."""


def check_sections(project: Project) -> list[str]:
    """Compare the sections of params.yaml with the stages of dvc.yaml, in their order."""
    stages = [entry.name for entry in project.entries]
    sections = [name for name in project.params if name != "run"]
    problems = []
    if "run" not in project.params:
        problems.append("params.yaml: the section `run` is missing")
    for name in sorted(set(stages) - set(sections)):
        problems.append(f"params.yaml: no section for the stage {name}; write `{name}: {{}}`")
    for name in sorted(set(sections) - set(stages)):
        problems.append(f"params.yaml: the section {name} has no stage in dvc.yaml; remove it")
    if not problems and sections != stages:
        order = ", ".join(stages)
        problems.append(f"params.yaml: sections stand in another order than dvc.yaml: {order}")
    return problems


def check_settings(project: Project) -> list[str]:
    """Validate every section of params.yaml against the Params of its stage."""
    problems: list[str] = []
    if "run" in project.params:
        parse(project.params["run"], Run, "run", problems)
    for entry in project.entries:
        if entry.name not in project.params or entry.name not in project.modules:
            continue
        try:
            module = stage_modules.load(entry.name, project.root)
        except LorekeepError as error:
            problems.append(str(error))
            continue
        if not hasattr(module, "Params"):
            problems.append(f"{entry.name}: its module {module.__name__} has no class Params")
            continue
        parse(project.params[entry.name], module.Params, entry.name, problems)
    return [line if line.startswith("params.yaml") else f"params.yaml: {line}" for line in problems]


def check_commands(project: Project) -> list[str]:
    """Check each stage's description, command, parameters and number of paths."""
    problems = []
    for entry in project.entries:
        start = ["python", "-m", "stages", entry.name]
        wanted_params = [entry.name, *SHARED_PARAMS]
        if not entry.description:
            problems.append(f"{entry.name}: no desc; say in one line what comes out")
        if entry.command[:4] != start:
            problems.append(f"{entry.name}: cmd must begin with {' '.join(start)}")
        if entry.params != wanted_params:
            problems.append(f"{entry.name}: params must be [{', '.join(wanted_params)}]")
        problems += check_number_of_paths(project, entry)
    return problems


def check_number_of_paths(project: Project, entry: StageEntry) -> list[str]:
    """Compare the paths of the command with the arguments of the stage's `run`."""
    try:
        module = stage_modules.load(entry.name, project.root)
    except InputError as error:
        return [f"{entry.name}: {error}"]
    if not hasattr(module, "run"):
        return [f"{entry.name}: its module {module.__name__} has no function run"]
    arguments = list(inspect.signature(module.run).parameters)[2:]
    if len(arguments) != len(entry.paths):
        listed = " ".join(f"<{name}>" for name in arguments)
        return [f"{entry.name}: cmd has {len(entry.paths)} paths, run takes {listed}"]
    return []


def check_paths(project: Project) -> list[str]:
    """Check that every path of a command is declared, and that every declared path is in the command."""
    problems = []
    for entry in project.entries:
        data = [path for path in entry.dependencies if not is_code(path, project, entry)]
        declared = data + entry.outputs
        for path in entry.paths:
            if not overlaps_any(path, declared):
                problems.append(f"{entry.name}: {path} is in cmd, but neither a dep nor an out")
        named = base_files.paths(project) if entry.name == base_files.STAGE else []
        for path in declared:
            if not overlaps_any(path, [*entry.paths, *named]):
                problems.append(f"{entry.name}: {path} is declared, but not in cmd")
    return problems


def overlaps_any(path: str, others: list[str]) -> bool:
    """Tell whether a path, a folder above it or something below it is among `others`."""
    for other in others:
        if Path(path).is_relative_to(other) or Path(other).is_relative_to(path):
            return True
    return False


def check_code(project: Project) -> list[str]:
    """Compare each stage's code dependencies with its imports."""
    problems = []
    for entry in project.entries:
        wanted = code_dependencies(project, entry)
        listed = sorted(path for path in entry.dependencies if is_code(path, project, entry))
        missing = [path for path in wanted if path not in listed]
        surplus = [path for path in listed if path not in wanted]
        if missing or surplus:
            parts = [f"+ {path}" for path in missing] + [f"- {path}" for path in surplus]
            problems.append(
                f"{entry.name}: code dependencies are not its imports; `lore check --fix` writes "
                f"them: {', '.join(parts)}"
            )
    return problems


def check_cached(project: Project) -> list[str]:
    """Check that every stage has a cached output.

    A stage whose only outputs are metrics in git never runs in a fresh clone.
    """
    problems = []
    for entry in project.entries:
        if not entry.cached:
            problems.append(f"{entry.name}: no cached output; add one below outs")
    return problems


def check_inputs(project: Project) -> list[str]:
    """Check that git, DVC, an earlier stage or set-up provides every dependency."""
    made = list(MADE_BY_SETUP)
    problems = []
    lock_file = lock_file_of(project)
    if not (project.root / lock_file).is_file():
        problems.append(
            f"{lock_file}: not here; copy it from the repository of the Lorekeep version that is installed"
        )
    for entry in project.entries:
        for path in entry.dependencies:
            outside = path.startswith("../") or Path(path).is_absolute()
            known = exists_outside(project, path) if outside else is_tracked(project, path)
            made_before = any(Path(path).is_relative_to(output) for output in made)
            if not known and not made_before and path != lock_file:
                problems.append(
                    f"{entry.name}: {path} is in deps, but no stage makes it and neither git nor DVC "
                    "tracks it; git add it, dvc add it, or remove it from deps"
                )
        made += entry.outputs
    return problems


def is_tracked(project: Project, path: str) -> bool:
    """Tell whether git tracks a file, its .dvc file, or files below it."""
    if path in project.tracked or f"{path}.dvc" in project.tracked:
        return True
    return any(file.startswith(f"{path}/") for file in project.tracked)


def exists_outside(project: Project, path: str) -> bool:
    """Tell whether a dependency outside of the project's folder is there."""
    return (project.root / path).exists()


def check_sources(project: Project) -> list[str]:
    """Check that every source of params.yaml is a dependency of extract: else nobody sees it change."""
    return undeclared_sources(project.entries, project.params, project.root)


def check_base(project: Project) -> list[str]:
    """Check that every file that the section base names is a dependency: else nobody sees it change."""
    return base_files.undeclared(project)


def check_ignored(project: Project) -> list[str]:
    """Check that .gitignore has a line for every cached output: DVC removes its own when it fails."""
    path = project.root / ".gitignore"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    problems = []
    for entry in project.entries:
        for output in entry.cached:
            if f"/{output}" not in lines:
                problems.append(
                    f".gitignore: write a line /{output}; DVC writes one below data/ or models/, "
                    "but removes it when the stage fails"
                )
    return problems


def check_line_ends(project: Project) -> list[str]:
    """Check that git changes no line ends of inputs here: dvc.lock holds hashes of the bytes."""
    tracked = set()
    for entry in project.entries:
        for path in entry.dependencies:
            if path in project.tracked:
                tracked.add(path)
    listing = "".join(f"{path}\0" for path in sorted(tracked))
    question = ("check-attr", "-z", "--stdin", "text")
    answer = git.read(
        *question, folder=project.root, given=listing.encode("utf-8", "surrogateescape")
    )
    converts = git.read_text("config", "--get", "core.autocrlf", folder=project.root) in CONVERTING
    # Three texts for each file: its path, the attribute's name, and `unset`, `set`, `auto` or
    # `unspecified`. An unspecified one follows core.autocrlf.
    parts = git.names(answer)
    changed = []
    for path, state in zip(parts[0::3], parts[2::3], strict=True):
        if state in ("set", "auto") or (state == "unspecified" and converts):
            changed.append(path)
    if not changed:
        return []
    return [
        f".gitattributes: git may change the line ends of {len(changed)} inputs, such as "
        f"{changed[0]}, so their hashes differ between clones; write a line * -text"
    ]


def check_shadowing(project: Project) -> list[str]:
    """Check that no folder of the project hides Lorekeep's packages from Python."""
    if project.root == project.code_root:
        return []
    problems = []
    for name in ("stages", "lore"):
        if (project.root / name).is_dir():
            problems.append(
                f"{name}/: this folder hides Lorekeep's package {name}; give it another name"
            )
    return problems


CHECKS: tuple[Callable[[Project], list[str]], ...] = (
    check_sections,
    check_settings,
    check_commands,
    check_paths,
    check_code,
    check_cached,
    check_inputs,
    check_sources,
    check_base,
    check_ignored,
    check_line_ends,
    check_shadowing,
)
