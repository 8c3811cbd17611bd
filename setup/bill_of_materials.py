"""Write who made the locked libraries: hashes, licences, a bill of materials.

`python setup/bill_of_materials.py requirements.lock .venv/bin/python` writes three files about the
libraries that requirements.lock pins and that the environment of this Python holds:

- requirements.hashes: every pin with the SHA-256 of its files. `make setup` installs with
  `pip install --require-hashes`, so a file that somebody changed later is refused.
- setup/sbom.cdx.json: the bill of materials (CycloneDX 1.6, cyclonedx.org), for vulnerability scanners.
- docs/reference/licences.md: the licence of each library.

The hashes come from the package index (PEP 691). Kept are the files that Python 3.11 to 3.13 can
install on Linux, macOS and Windows. The file that pip chose here is kept too, so that a build of torch
for CPUs alone, which another index holds, can be installed.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

INDEX = os.environ.get("LOREKEEP_INDEX", "https://pypi.org/simple")
JSON = "application/vnd.pypi.simple.v1+json"
HEADER = "# Made by `make lock`: the pins of requirements.lock with the SHA-256 of every file that may be installed.\n"
TOOLS = ("cyclonedx-bom==7.5.0", "pip-licenses==5.5.5")
WHEEL = re.compile(
    r"-(?:py2\.py3|py3|py311|cp3\d+)"  # Python: py3, cp311; cp39 where the ABI is abi3
    r"-(?P<abi>none|abi3|cp31[123])"  # free-threaded builds (cp313t) are left out
    r"-(?P<platform>any|.*(?:manylinux|macosx|win_amd64).*)"
    r"\.whl$"
)
"""The end of the name of a wheel that Python 3.11 to 3.13 can install."""
TOO_NEW = re.compile(r"-cp3(?:1[4-9]|[2-9]\d)-")
FOR_CPUS = ("torch",)
"""Libraries with a smaller build for CPUs, on another index. pip's own choice is kept for these."""


def main() -> None:
    """Write the three files."""
    lock, python = Path(sys.argv[1]), sys.argv[2]
    pins = pins_in(lock)
    with ThreadPoolExecutor(8) as pool:
        all_hashes = list(pool.map(hashes_of, pins))
    lines = []
    for (name, version), hashes in zip(pins, all_hashes, strict=True):
        found = sorted(hashes | chosen_here(name, version, python))
        if not found:
            sys.exit(f"{name}=={version}: the index {INDEX} has no file of it; check the pin")
        joined = " \\\n".join(f"    --hash=sha256:{digest}" for digest in found)
        lines.append(f"{name}=={version} \\\n{joined}\n")
    target = lock.with_suffix(".hashes")
    target.write_text(HEADER + "".join(lines), encoding="utf-8")
    print(f"{target}: {len(pins)} libraries, {sum(map(len, all_hashes)):,} files")
    write_bill_and_licences(python, {name.lower().replace("_", "-") for name, _ in pins})


def pins_in(lock: Path) -> list[tuple[str, str]]:
    """Return the (name, version) pairs of a lock file, in its order."""
    pins = []
    for line in lock.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, version = line.split("==")
            pins.append((name, version))
    return pins


def hashes_of(pin: tuple[str, str]) -> set[str]:
    """Return the SHA-256 of every file of a release that may be installed."""
    name, version = pin
    normal = re.sub(r"[-_.]+", "-", name).lower()
    address = f"{INDEX}/{urllib.parse.quote(normal)}/"
    request = urllib.request.Request(address, headers={"Accept": JSON})  # noqa: S310  # https, fixed
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        files = json.load(answer)["files"]
    return {
        file["hashes"]["sha256"] for file in files if may_install(file["filename"], name, version)
    }


def may_install(file: str, name: str, version: str) -> bool:
    """Whether a file is of this release, and one that a supported Python can install."""
    # Names of files write - and . of a library's name as _ or as they are: zc.lockfile, zc_lockfile.
    words = [re.escape(word) for word in re.split(r"[-_.]+", name)]
    start = re.compile(
        "[-_.]+".join(words) + "-" + re.escape(version) + r"(?=-|\.tar\.gz|\.zip)", re.IGNORECASE
    )
    if not start.match(file):
        return False
    if file.endswith((".tar.gz", ".zip")):
        return True
    return bool(WHEEL.search(file)) and not TOO_NEW.search(file)


def chosen_here(name: str, version: str, python: str) -> set[str]:
    """Return the SHA-256 of the file that this machine's pip chooses, for the libraries of FOR_CPUS."""
    if name not in FOR_CPUS:
        return set()
    with tempfile.TemporaryDirectory() as folder:
        command = [python, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
        subprocess.run([*command, f"{name}=={version}"], check=True)
        return {hashlib.sha256(file.read_bytes()).hexdigest() for file in Path(folder).iterdir()}


def write_bill_and_licences(python: str, pinned: set[str]) -> None:
    """Write the bill of materials and the list of licences, with tools in an environment of their own."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        tools = Path(folder) / "bin"
        install = [str(tools / "python"), "-m", "pip", "install", "--quiet", *TOOLS]
        subprocess.run(install, check=True)
        bill = Path("setup/sbom.cdx.json")
        make_bill = [str(tools / "cyclonedx-py"), "environment", "--output-reproducible"]
        made = subprocess.run([*make_bill, python], check=True, capture_output=True, text=True)
        bill.write_text(only_pinned(made.stdout, pinned), encoding="utf-8")
        list_licences = [str(tools / "pip-licenses"), "--python", python, "--from=mixed"]
        list_licences += ["--format=json", "--with-system"]
        made = subprocess.run(list_licences, check=True, capture_output=True, text=True)
    rows = list(licence_rows(json.loads(made.stdout), pinned))
    page = Path("docs/reference/licences.md")
    page.write_text(
        "# Licences of the libraries\n\n"
        "`make lock` writes this page. Every library of `requirements.lock` is here, as its own\n"
        "metadata states its licence. `setup/sbom.cdx.json` is the same list for scanners.\n\n"
        "| library | version | licence |\n|---|---|---|\n" + "".join(rows),
        encoding="utf-8",
    )
    print(f"{bill}, {page}: {len(rows)} libraries")


def only_pinned(bill: str, pinned: set[str]) -> str:
    """Return a bill of materials without the project itself and without paths of this machine."""
    document = json.loads(bill)
    kept = []
    for component in document["components"]:
        if component["name"].lower().replace("_", "-") in pinned:
            # Where a library was installed from is of this machine alone.
            component.pop("externalReferences", None)
            component.pop("properties", None)
            kept.append(component)
    document["components"] = kept
    references = {component["bom-ref"] for component in kept}
    dependencies = []
    for entry in document.get("dependencies", []):
        if entry["ref"] in references:
            dependencies.append(entry)
    document["dependencies"] = dependencies
    document.get("metadata", {}).pop("component", None)
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def licence_rows(libraries: list[dict[str, str]], pinned: set[str]) -> Iterator[str]:
    """Yield one line of the table per library, sorted by name."""
    for library in sorted(libraries, key=lambda entry: entry["Name"].lower()):
        name = library["Name"]
        if name.lower().replace("_", "-") not in pinned:
            continue
        version = re.sub(r"\+\w+$", "", library["Version"])
        licence = " ".join(library["License"].split())
        if len(licence) > 80:  # some libraries give the whole text instead of the name
            licence = licence[:77] + "…"
        yield f"| {name} | {version} | {licence.replace('|', '/')} |\n"


if __name__ == "__main__":
    main()
