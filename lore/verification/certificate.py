"""A certificate: the result of rebuilding a revision, as a file.

It holds the hashes of the outputs, the environment and the verdict. The same revision, environment
and verdict give the same bytes, except for the part `run`, which says when and how long. It is not
signed: whoever can write it can write another.
"""

import hashlib
import json
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from lore.verification.outputs import Difference, Output, Recorded
from lore.verification.rebuild import lock_file
from lore.versions.dvc_cache import md5
from lore.versions.version import Version, revision
from stages.core.project import lock
from stages.core.project.artifacts import LOCK_FILE, PARAMS
from stages.core.project.errors import InputError
from stages.core.project.output import write_json

FORM = 1
"""Goes up when an older Lorekeep could not read the file."""
EXACT = "bit-exact"
DIFFERS = "differs"
FLAGS = frozenset(
    "sse4_1 sse4_2 avx f16c fma avx2 avx_vnni avx512f avx512bw avx512dq avx512vl avx512_vnni "
    "avx512_bf16 avx512_fp16 amx_tile amx_int8 amx_bf16 asimd asimddp asimdhp bf16 i8mm sve sve2 "
    "fphp".split()
)
"""Features of a CPU by which numeric libraries choose their kernels."""
CPUINFO = Path("/proc/cpuinfo")


def environment(version: Version) -> dict[str, Any]:
    """Return the environment that a result may depend on.

    It is Python, the libraries, the CPU, and the settings that pin the CPU's influence.
    """
    run = (version.document(PARAMS) or {}).get("run", {})
    installed = libraries(version)
    listed = "".join(f"{name}=={number}\n" for name, number in installed.items())
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
        "libc": " ".join(platform.libc_ver()),
        "cpu": cpu(),
        "run": {name: run.get(name) for name in ("threads", "isa", "device")},
        "libraries_sha256": hashlib.sha256(listed.encode()).hexdigest(),
        "libraries": installed,
    }


def libraries(version: Version) -> dict[str, str]:
    """Return the installed versions of the libraries that the revision's lock file names.

    Of all libraries, where the revision has no lock file.
    """
    installed = {}
    for distribution in distributions():
        # Names compare in one form (PEP 503): `Ruamel_YAML` is `ruamel-yaml`.
        name: str = canonicalize_name(distribution.metadata["Name"])
        installed[name] = distribution.version
    with lock_file(version) as path:
        names = installed if path is None else lock.read(path)
    return {name: installed.get(name, "not installed") for name in sorted(names)}


def cpu() -> dict[str, Any]:
    """Return the CPU's model, and those of its features that matter, as Linux names them."""
    # Lines such as `flags : fpu avx2 fma`, for each core anew. The first core counts.
    fields: dict[str, str] = {}
    if CPUINFO.is_file():
        for line in CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
    # Linux says `flags` on x86 and `Features` on ARM.
    features = fields.get("flags") or fields.get("Features") or ""
    return {
        "model": fields.get("model name") or platform.processor() or "unknown",
        "flags": sorted(FLAGS.intersection(features.split())),
    }


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return the differences between two environments, a line each. `old` is the certificate's."""
    lines = []
    for name in ("python", "system", "libc"):
        was, now = old.get(name), new.get(name)
        if was != now:
            lines.append(f"{name}: {was} in the certificate, {now} here")
    for part in ("libraries", "run"):
        was, now = old.get(part, {}), new.get(part, {})
        lines += differing_values(part, sorted({*was, *now}), was, now)
    old_cpu = old.get("cpu", {})
    new_cpu = new.get("cpu", {})
    lines += differing_values("cpu", ["model"], old_cpu, new_cpu)
    # Of the flags only those that one side alone has are of interest.
    old_flags = set(old_cpu.get("flags", []))
    new_flags = set(new_cpu.get("flags", []))
    for flag in sorted(old_flags - new_flags):
        lines.append(f"cpu: {flag} in the certificate alone")
    for flag in sorted(new_flags - old_flags):
        lines.append(f"cpu: {flag} here alone")
    return lines


def differing_values(
    part: str, names: list[str], old: dict[str, Any], new: dict[str, Any]
) -> list[str]:
    """Return a line per name whose value differs: `libraries: torch: 2.1 in the certificate, …`."""
    lines = []
    for name in names:
        if old.get(name) != new.get(name):
            was = old.get(name, "none")
            now = new.get(name, "none")
            lines.append(f"{part}: {name}: {was} in the certificate, {now} here")
    return lines


def certify(
    version: Version, stages: list[str], outputs: list[Output], differing: list[Difference]
) -> dict[str, Any]:
    """Return the certificate without its part `run`."""
    return {
        "form": FORM,
        "revision": version.commit,
        "dvc.lock": md5(version.content(LOCK_FILE) or b""),
        "stages": stages,
        "outputs": [asdict(output) for output in outputs],
        "environment": environment(version),
        "verdict": DIFFERS if differing else EXACT,
        "differences": [asdict(one) for one in differing],
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
    """Return a certificate without its part `run`.

    Raises InputError where the file is no certificate, or one of a later form.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: the certificate cannot be read: {error.strerror}") from None
    except ValueError:
        text = ""  # not UTF-8, so not a certificate
    try:
        certificate = json.loads(text)["certificate"]
        known = is_certificate(certificate)
    except (ValueError, KeyError, TypeError, AttributeError):
        known = False
    if not known:
        raise InputError(
            f"{path}: not a certificate of this Lorekeep; lore verify --certificate FILE writes one"
        )
    return dict(certificate)


def is_certificate(document: dict[str, Any]) -> bool:
    """Whether a parsed file has the parts that are read here."""
    if document["form"] != FORM:
        return False
    if not {"revision", "dvc.lock", "environment"} <= document.keys():
        return False
    if document["verdict"] not in (EXACT, DIFFERS):
        return False
    return all({"path", "locked", "made"} <= output.keys() for output in document["outputs"])


@dataclass
class Checked:
    """A certificate compared with the repository, without a rebuild."""

    problems: list[str]
    """Differences between the repository and the certificate, a line each."""
    files: int = 0
    """Files of the certified outputs that are kept here, each with its hash."""
    incomplete: int = 0
    """Outputs that are not kept here whole."""


def check(certificate: dict[str, Any]) -> Checked:
    """Compare a certificate with the repository. Nothing is rebuilt.

    Raises InputError where the revision is not in the repository.
    """
    version = revision(str(certificate["revision"]))
    checked = Checked([])
    if md5(version.content(LOCK_FILE) or b"") != certificate["dvc.lock"]:
        checked.problems.append(f"{LOCK_FILE} of {version.label} is not the one that was certified")
    for output in certificate["outputs"]:
        path, digest, made = output["path"], output["locked"], output["made"]
        recorded_digest = version.outs.get(path, "no such output")
        if recorded_digest != digest:
            checked.problems.append(
                f"{path}: {digest} in the certificate, {recorded_digest} in {LOCK_FILE}"
            )
        if certificate["verdict"] == EXACT and made != digest:
            checked.problems.append(
                f"{path}: the certificate says {EXACT}, but has two hashes: {digest} and {made}"
            )
        recorded = Recorded(version, path, digest)
        try:
            files = recorded.files()
            kept = 0
            for name, single in (files or {}).items():
                if recorded.read(name, single) is not None:
                    kept += 1
        except InputError as error:
            checked.problems.append(str(error))
            continue
        checked.files += kept
        if files is None or kept < len(files):
            checked.incomplete += 1
    return checked
