"""The stage `index` with many records: a build, the same again, 1 % changed, questions, memory.

    PYTHONPATH=. python docs/experiments/index_bench.py [--records 100000] [--encoder all-MiniLM-L6-v2]

Records are made by a grammar: a subject of its own and one of eleven attributes. Without --encoder a vector is drawn by the
hash of a text, so the encoder costs nothing and everything else of the stage is measured: records read, vectors kept in
the memo and read from it, index and texts written. With --encoder the real one encodes each text.

Each step is a process of its own, forked from one that has loaded the libraries. Seconds are CPU seconds, since wall time
says little on a busy machine. Questions are encoded before they are timed. Brute force is one product of a matrix by
numpy, and must find the same record.
"""

import argparse
import base64
import hashlib
import json
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ATTRIBUTES = (
    "melting point,boiling point,density,molar mass,discovery year,hardness,price,length,age,depth,speed".split(",")
)  # fmt: skip
PARTS = "ar bel cor dun el fim gor hal is jor kel lum mor nis or pel quin ras sol tur um vel wor xen yor zel".split()
QUESTIONS = 200
NEAREST = 8


def main() -> None:
    """Measure all steps and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=100_000, help="number of records")
    parser.add_argument("--encoder", help="a real encoder, as index.encoder names it")
    options = parser.parse_args()
    os.environ["TQDM_DISABLE"] = "1"
    load_libraries(options.encoder)
    number = options.records
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def build() -> tuple[float, float]:
            return in_child(lambda: build_index(folder, options.encoder))

        in_child(lambda: write_records(folder, number, 0))
        print("| step | CPU s | peak memory, MB |\n|---|---|---|", flush=True)
        full = step("build, empty memo", build())
        step("again, nothing changed", build())
        in_child(lambda: write_records(folder, number, number // 100))
        some = step("1 % of the texts changed", build())
        in_child(lambda: ask(folder, options.encoder))
        asked = json.loads((folder / "asked.json").read_text())
        print(
            f"| read the index, ask {QUESTIONS} questions | {asked['read']:.2f} to read | {asked['memory']:,.0f} |"
        )
        print(f"\n{number:,} records: 1 % changed costs {some / full:.1%} of the build")
        print(
            f"a question, median {asked['median']:.1f} ms, p95 {asked['p95']:.1f} ms; brute force by numpy, "
            f"median {asked['numpy']:.1f} ms, p95 {asked['numpy_p95']:.1f} ms"
        )
        size = (folder / "index/records.faiss").stat().st_size
        kept = sum(path.stat().st_size for path in (folder / "memo").rglob("*") if path.is_file())
        print(f"the index has {size / 1e6:,.1f} MB, the memo {kept / 1e6:,.1f} MB")


def step(name: str, used: tuple[float, float]) -> float:
    """Print the row of a step, and return its CPU seconds."""
    seconds, memory = used
    print(f"| {name} | {seconds:.1f} | {memory:,.0f} |", flush=True)
    return seconds


def in_child(work: Callable[[], None]) -> tuple[float, float]:
    """Do the work in a forked process. Returns its CPU seconds and its peak memory in MB."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            work()
            code = 0
        finally:
            os._exit(code)
    _, status, used = os.wait4(child, 0)
    if status:
        raise RuntimeError("the process failed; its error stands above")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def load_libraries(encoder: str | None) -> None:
    """Load what the steps need before anything is forked, so that no step is charged for it."""
    import faiss
    import pyarrow as pa

    from stages import index  # noqa: F401 - loaded for the forked processes
    from stages.core.retrieval import encoder as encoders

    faiss.omp_set_num_threads(1)  # threads do not survive a fork
    pa.set_cpu_count(1)
    if encoder is None:
        drawn_vector.__module__, drawn_vector.__qualname__ = encoders.__name__, "encode"
        encoders.encode = drawn_vector
    else:
        encoders.set_threads(1)
        encoders.load(encoders.folder_of(encoder))


def drawn_vector(text: str, folder: Path, threads: int) -> str:
    """Return a vector of length 1, drawn by the hash of a text, as `encoder.encode` returns one."""
    import numpy as np

    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    vector = np.random.default_rng(seed).standard_normal(384, dtype=np.float32)
    return base64.b64encode((vector / np.linalg.norm(vector)).astype("<f4").tobytes()).decode()


def write_records(folder: Path, number: int, changed: int) -> None:
    """Write the records that `clean` would write. The first `changed` of them have another value."""
    from stages.core.records import record

    rng = random.Random(1)
    rows = []
    for place in range(number):
        subject = "".join(rng.choice(PARTS) for _ in range(3)) + f" {place}"
        value = rng.randrange(1, 4000) + (5000 if place < changed else 0)
        text = f"{subject}: {ATTRIBUTES[place % len(ATTRIBUTES)]} {value} units"
        rows.append(
            {
                "id": record.record_id("grammar", str(place)),
                "text": text,
                "lang": "en",
                "source": "grammar",
                "locator": str(place),
                "kind": "fact",
            }
        )
    record.write(folder / "clean/records.parquet", rows)


def build_index(folder: Path, encoder: str | None) -> None:
    """Run the stage `index`."""
    from stages import index
    from stages.core.project.params import Run

    os.environ["LOREKEEP_MEMO"] = str(folder / "memo")
    run = Run(seed=1, threads=1, isa="avx2", device="cpu", executor="local", address=None)
    params = index.Params(encoder=encoder or drawn_folder(folder))
    index.run(params, run, folder / "clean", folder / "index", folder / "index.json")


def drawn_folder(folder: Path) -> str:
    """Return a folder that looks like an encoder's."""
    made = folder / "encoder"
    made.mkdir(exist_ok=True)
    (made / "modules.json").write_text("[]")
    (made / "model.safetensors").write_bytes(b"")
    return str(made)


def ask(folder: Path, name: str | None) -> None:
    """Time the reading of the index, questions to it, and the same by numpy. Writes asked.json."""
    import numpy as np

    from stages.core.retrieval import encoder, vectors

    model = encoder.Encoder.at(encoder.folder_of(name or drawn_folder(folder)), 1, remembers=False)
    questions = [
        model.vector(f"What is the density of quinsolar {place}?") for place in range(QUESTIONS)
    ]
    started = time.process_time()
    index = vectors.read(folder / "index/records.faiss")
    read = time.process_time() - started
    by_index = []
    found = []
    for question in questions:
        started = time.process_time()
        hits = vectors.search(index, question, NEAREST)
        by_index.append(1000 * (time.process_time() - started))
        found.append(hits[0].similarity)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    matrix = index.index.reconstruct_n(0, index.ntotal)
    by_numpy = []
    for question, similarity in zip(questions, found, strict=True):
        started = time.process_time()
        products = matrix @ question
        nearest = np.argpartition(-products, NEAREST)[:NEAREST]
        by_numpy.append(1000 * (time.process_time() - started))
        if abs(float(products[nearest].max()) - similarity) > 1e-5:
            raise RuntimeError("the index and brute force find another nearest record")
    report = {
        "read": read,
        "memory": memory,
        "median": float(np.median(by_index)),
        "p95": float(np.percentile(by_index, 95)),
        "numpy": float(np.median(by_numpy)),
        "numpy_p95": float(np.percentile(by_numpy, 95)),
    }
    (folder / "asked.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main()
