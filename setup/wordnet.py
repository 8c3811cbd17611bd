"""Put the WordNet 3.0 dictionary where NLTK reads it: `python setup/wordnet.py data/wordnet`.

Tried in order: files already there; the system's (Debian's wordnet-base and wordnet-sense-index, in
/usr/share/wordnet); the same two packages fetched with apt-get and unpacked into a temporary folder, which needs no
root. Every file must have the SHA-256 of `setup/wordnet.sha256`, so that a synonym is the same synonym everywhere.

NLTK wants one file that Debian does not ship: `lexnames`, the names of the 45 lexicographer files, as in the manual
page lexnames(5WN). It refuses files that others may write, hence the modes.
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
NOUNS = (
    "Tops act animal artifact attribute body cognition communication event feeling food group location motive object "
    "person phenomenon plant possession process quantity relation shape state substance time"
)
VERBS = (
    "body change cognition communication competition consumption contact creation emotion motion perception possession "
    "social stative weather"
)


def main() -> int:
    """Exit code 0 when the files are there and right, 1 with the next step otherwise."""
    target = Path(sys.argv[1]) / "corpora" / "wordnet"
    if is_right(target):
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        for source in (SYSTEM, fetched(Path(scratch))):
            if source and install(source, target):
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
    """The dictionary folder of the two Debian packages, downloaded and unpacked below `scratch`."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return None
    download = ["apt-get", "download", "-qq", *PACKAGES]
    for prepare in ([], ["apt-get", "update", "-qq"]):  # the package lists may be missing or old
        if prepare:
            subprocess.run(prepare, check=False, capture_output=True)
        if subprocess.run(download, cwd=scratch, check=False, capture_output=True).returncode == 0:
            break
    for package in sorted(scratch.glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(package), str(scratch)], check=True)
    return scratch / SYSTEM.relative_to("/")


def install(source: Path, target: Path) -> bool:
    """Copy the dictionary to the target if it is complete and right; say what is wrong otherwise."""
    if not source.is_dir():
        return False
    partial = target.with_name("wordnet.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name in sums():
        if (source / name).is_file():
            shutil.copyfile(source / name, partial / name)
    (partial / "lexnames").write_text(lexnames(), encoding="utf-8")
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
    return all(
        (folder / name).is_file()
        and hashlib.sha256((folder / name).read_bytes()).hexdigest() == wanted
        for name, wanted in sums().items()
    )


def sums() -> dict[str, str]:
    """Pinned SHA-256 by file name, in the format of sha256sum."""
    lines = SUMS.read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def lexnames() -> str:
    """Number, name and syntactic category (1 noun, 2 verb, 3 adjective, 4 adverb) of each lexicographer file."""
    names = [("adj.all", 3), ("adj.pert", 3), ("adv.all", 4)]
    names += [(f"noun.{name}", 1) for name in NOUNS.split()]
    names += [(f"verb.{name}", 2) for name in VERBS.split()]
    names.append(("adj.ppl", 3))
    return "".join(
        f"{number:02d}\t{name}\t{category}\n" for number, (name, category) in enumerate(names)
    )


if __name__ == "__main__":
    sys.exit(main())
