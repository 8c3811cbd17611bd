"""Put the WordNet 3.0 dictionary where NLTK reads it: `python setup/wordnet.py data/wordnet`.

Three sources are tried in order:

1. Files that are already there.
2. The files of the system, from Debian's packages wordnet-base and wordnet-sense-index.
3. The same two packages, fetched with apt-get and unpacked into a temporary folder, which needs no root.

Every file must have the SHA-256 of `wordnet.sha256`, so that a synonym is the same synonym everywhere.

NLTK needs one file that Debian does not ship: `lexnames`, the 45 lexicographer files with number, name
and syntactic category, as in the manual page lexnames(5WN). It is `wordnet.lexnames` beside this script.
NLTK refuses files that others may write, so the script sets their modes.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SYSTEM = Path("/usr/share/wordnet")
PACKAGES = ["wordnet-base", "wordnet-sense-index"]
SUMS = Path(__file__).with_name("wordnet.sha256")
LEXNAMES = Path(__file__).with_name("wordnet.lexnames")


def main() -> int:
    """Return exit code 0 when the files are there and right. Otherwise say the next step and return 1."""
    target = Path(sys.argv[1]) / "corpora" / "wordnet"
    if is_right(target):
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        for source in (SYSTEM, fetched(Path(scratch))):
            if source is not None and install(source, target):
                print(f"WordNet 3.0 is in {target}")
                return 0
    print(
        "WordNet 3.0 is missing, and apt-get could not fetch it (is the network there?). On Debian or Ubuntu type\n"
        f"  sudo apt-get install {' '.join(PACKAGES)}\n"
        f"elsewhere copy the dictionary files of WordNet 3.0, as Debian ships them, to {SYSTEM}; then run make again.",
        file=sys.stderr,
    )
    return 1


def fetched(scratch: Path) -> Path | None:
    """Download the two Debian packages and unpack them below `scratch`.

    Returns the folder of the dictionary, or None without Debian's tools.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return None
    download = ["apt-get", "download", "-qq", *PACKAGES]
    first_try = subprocess.run(download, cwd=scratch, check=False, capture_output=True)
    if first_try.returncode != 0:
        # The package lists may be missing or old.
        subprocess.run(["apt-get", "update", "-qq"], check=False, capture_output=True)
        subprocess.run(download, cwd=scratch, check=False, capture_output=True)
    for package in sorted(scratch.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(package), str(scratch)], check=True)
    return scratch / SYSTEM.relative_to("/")


def install(source: Path, target: Path) -> bool:
    """Copy the dictionary to the target, and return whether it is complete and right.

    Otherwise say what is wrong, and leave the target as it was.
    """
    if not source.is_dir():
        return False
    partial = target.with_name("wordnet.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name in sums():
        if (source / name).is_file():
            shutil.copyfile(source / name, partial / name)
    shutil.copyfile(LEXNAMES, partial / "lexnames")
    for path in [partial.parent.parent, partial.parent, partial, *partial.iterdir()]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    if not is_right(partial):
        print(f"{source}: not the WordNet 3.0 that is pinned in {SUMS}", file=sys.stderr)
        shutil.rmtree(partial)
        return False
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    return True


def is_right(folder: Path) -> bool:
    """Whether all files are there with their pinned SHA-256."""
    for name, wanted in sums().items():
        path = folder / name
        if not path.is_file():
            return False
        if hashlib.sha256(path.read_bytes()).hexdigest() != wanted:
            return False
    return True


def sums() -> dict[str, str]:
    """Return the pinned SHA-256 by file name. The file has the format of sha256sum."""
    pinned = {}
    for line in SUMS.read_text(encoding="utf-8").splitlines():
        digest, name = line.split()
        pinned[name] = digest
    return pinned


if __name__ == "__main__":
    sys.exit(main())
