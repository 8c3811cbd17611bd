"""What a rebuilt revision came to, as a file: its outputs' hashes, the environment, the verdict. The same revision,
environment and verdict give the same bytes, but for the part `run`, which says when and how long. It is not signed: whoever
can write it can write another."""

import hashlib
import json
import platform
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from lore.verification.outputs import Output, Parting, Recorded
from lore.verification.rebuild import lock_file
from lore.versions.dvc_cache import md5
from lore.versions.version import LOCK, Version, revision
from stages.core.project import lock
from stages.core.project.errors import InputError
from stages.core.project.output import write_json

FORM = 1
"""Goes up when an older Lorekeep could not read the file."""
EXACT, DIFFERS = "bit-exact", "differs"
FLAGS = frozenset(
    "sse4_1 sse4_2 avx f16c fma avx2 avx_vnni avx512f avx512bw avx512dq avx512vl avx512_vnni avx512_bf16 avx512_fp16 amx_tile "
    "amx_int8 amx_bf16 asimd asimddp asimdhp bf16 i8mm sve sve2 fphp".split()
)
"""Features of a CPU by which numeric libraries choose their kernels."""
CPUINFO = Path("/proc/cpuinfo")


def environment(version: Version) -> dict[str, Any]:
    """What a result may depend on besides the revision: python, libraries, CPU, and the settings that pin the CPU's part."""
    run = (version.document("params.yaml") or {}).get("run", {})
    found = libraries(version)
    listed = "".join(f"{name}=={number}\n" for name, number in found.items())
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
        "libc": " ".join(platform.libc_ver()),
        "cpu": cpu(),
        "run": {name: run.get(name) for name in ("threads", "isa", "device")},
        "libraries_sha256": hashlib.sha256(listed.encode()).hexdigest(),
        "libraries": found,
    }


def libraries(version: Version) -> dict[str, str]:
    """Versions of the installed libraries that the revision's lock file names; of all, where it has none."""
    installed = {lock.canonical(found.metadata["Name"]): found.version for found in distributions()}
    with lock_file(version) as path:
        names = installed if path is None else lock.read(path)
    return {name: installed.get(name, "not installed") for name in sorted(names)}


def cpu() -> dict[str, Any]:
    """The CPU's model, and those of its features that matter, as Linux tells them."""
    lines = (
        CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
        if CPUINFO.is_file()
        else []
    )
    told = {
        name.strip(): value.strip()
        for name, _, value in (line.partition(":") for line in reversed(lines))
    }
    features = (told.get("flags") or told.get("Features") or "").split()
    return {
        "model": told.get("model name") or platform.processor() or "unknown",
        "flags": sorted(FLAGS & set(features)),
    }


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What differs between two environments, a line each."""
    lines = [
        f"{name}: {old.get(name)} in the certificate, {new.get(name)} here"
        for name in ("python", "system", "libc")
        if old.get(name) != new.get(name)
    ]
    for part, names in (("libraries", None), ("run", None), ("cpu", ("model",))):
        a, b = old.get(part, {}), new.get(part, {})
        for name in names or sorted({*a, *b}):
            if a.get(name) != b.get(name):
                lines.append(
                    f"{part}: {name}: {a.get(name, 'none')} in the certificate, {b.get(name, 'none')} here"
                )
    flags = [set(side.get("cpu", {}).get("flags", [])) for side in (old, new)]
    lines += [f"cpu: {name} in the certificate alone" for name in sorted(flags[0] - flags[1])]
    return lines + [f"cpu: {name} here alone" for name in sorted(flags[1] - flags[0])]


def certify(
    version: Version, stages: list[str], outputs: list[Output], partings: list[Parting]
) -> dict[str, Any]:
    """The certificate without its part `run`."""
    from dataclasses import asdict

    return {
        "form": FORM,
        "revision": version.commit,
        "dvc.lock": md5(version.content(LOCK) or b""),
        "stages": stages,
        "outputs": [asdict(output) for output in outputs],
        "environment": environment(version),
        "verdict": DIFFERS if partings else EXACT,
        "differences": [asdict(parting) for parting in partings],
    }


def write(path: Path, certificate: dict[str, Any], run: dict[str, Any]) -> None:
    """Write a certificate. Raises InputError where the file cannot be written."""
    try:
        write_json(path, {"certificate": certificate, "run": run})
    except OSError as error:
        raise InputError(
            f"{path}: the certificate cannot be written: {error.strerror}; name another file"
        ) from None


def load(path: Path) -> dict[str, Any]:
    """A certificate without its part `run`. Raises InputError where the file is none, or of a later form."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["certificate"]
        form, known = (
            found["form"],
            {"revision", "dvc.lock", "environment", "verdict"} <= found.keys(),
        )
        known = known and all(
            {"path", "locked", "made"} <= output.keys() for output in found["outputs"]
        )
    except OSError as error:
        raise InputError(f"{path}: the certificate cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        form, known = FORM, False
    if not known or form != FORM:
        raise InputError(
            f"{path}: not a certificate of this Lorekeep; lore verify --certificate FILE writes one"
        )
    return dict(found)


def problems(certificate: dict[str, Any]) -> tuple[list[str], int, int]:
    """In what the repository here is not what a certificate says, a line each; how many files of its outputs are kept here,
    intact; of how many outputs not all are. Nothing is rebuilt. Raises InputError where the revision is not in the repository.
    """
    version = revision(str(certificate["revision"]))
    found = []
    if md5(version.content(LOCK) or b"") != certificate["dvc.lock"]:
        found.append(f"{LOCK} of {version.label} is not the one that was certified")
    intact = lacking = 0
    for output in certificate["outputs"]:
        path, digest = output["path"], output["locked"]
        if version.outs.get(path) != digest:
            found.append(
                f"{path}: {digest} in the certificate, {version.outs.get(path, 'no such output')} in {LOCK}"
            )
        if certificate["verdict"] == EXACT and output["made"] != digest:
            found.append(
                f"{path}: the certificate says {EXACT}, but has two hashes: {digest} and {output['made']}"
            )
        try:
            recorded = Recorded(version, path, digest)
            files = recorded.files()
            kept = [
                recorded.read(name, single) is not None for name, single in (files or {}).items()
            ]
        except InputError as error:
            found.append(str(error))
            continue
        intact += sum(kept)
        lacking += files is None or not all(kept)
    return found, intact, lacking
