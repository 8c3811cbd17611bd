"""The edit scripts of edit_scripts.py for LlamaIndex's IngestionPipeline and LangChain's `index()`.

    python -m venv peers
    peers/bin/pip install llama-index-core==0.14.25 langchain-core==1.8.3
    peers/bin/python docs/experiments/edit_scripts_peers.py [--scripts 1000]

Neither is a library of this project, so they have an environment of their own. Both get each row as a document with the
id or the metadata that their documentation asks for, an encoder that draws a vector by the hash of a text, and stores
in memory. Each call that writes to a store is taken as durable, like that of a database. A failure strikes before or
after such a call, or in the encoder. Then the same documents are given again. Texts are compared as sets, so that a
text that is there twice counts as right.
"""

import argparse
import errno
import hashlib
import os
import random
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from edit_scripts import MOMENTS, Failure, World, expected_texts, script

WRITES = 24
"""A failure strikes at one of so many moments: these programs write less often than files are written."""
Bring = Callable[[World], None]


class Killed(BaseException):
    """The process ended here. No handler of an Exception sees it."""


class Striking:
    """Strikes at the n-th call that writes, or at the n-th text of the encoder."""

    def __init__(self) -> None:
        self.failure: Failure | None = None
        self.left = 0

    def arm(self, failure: Failure | None) -> None:
        """Set the next failure, or none."""
        self.failure = failure
        if failure is not None:
            encoder = failure.kind == "encoder"
            self.left = failure.moment if encoder else failure.moment * WRITES // MOMENTS

    def moment(self, *kinds: str) -> None:
        """Fail if this is the moment of a failure of one of these kinds."""
        if self.failure is None or self.failure.kind not in kinds:
            return
        if self.left > 0:
            self.left -= 1
            return
        kind = self.failure.kind
        self.failure = None
        if kind == "kill":
            raise Killed
        if kind == "disk":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise RuntimeError("the encoder failed")

    def wrap(self, owner: type, name: str) -> None:
        """Give a method moments before and after."""
        original = getattr(owner, name)

        def struck(*arguments: Any, **named: Any) -> Any:
            self.moment("kill", "disk")
            result = original(*arguments, **named)
            self.moment("kill", "disk")
            return result

        setattr(owner, name, struck)


STRIKING = Striking()


def vector(text: str) -> list[float]:
    """Draw a vector by the hash of a text. This is the encoder."""
    STRIKING.moment("encoder")
    draw = random.Random(hashlib.sha256(text.encode()).digest())
    return [draw.gauss(0, 1) for _ in range(8)]


def llama_index(with_source: bool) -> tuple[Bring, Callable[[], set[str]]]:
    """Return what brings a world into an IngestionPipeline, and what says which texts are found."""
    from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
    from llama_index.core.schema import (
        Document,
        NodeRelationship,
        RelatedNodeInfo,
        TextNode,
        TransformComponent,
    )
    from llama_index.core.storage.docstore import SimpleDocumentStore
    from llama_index.core.vector_stores import SimpleVectorStore

    texts: dict[tuple[float, ...], str] = {}

    class Encode(TransformComponent):  # type: ignore[misc]
        """One node with its vector for each document."""

        def __call__(self, nodes: Any, **_: Any) -> Any:
            made = []
            for document in nodes:
                drawn = vector(document.text)
                texts[tuple(drawn)] = document.text
                node = TextNode(text=document.text, embedding=drawn)
                origin = RelatedNodeInfo(node_id=document.id_)
                node.relationships[NodeRelationship.SOURCE] = origin
                made.append(node)
            return made

    store = SimpleVectorStore()
    pipeline = IngestionPipeline(
        transformations=[Encode()],
        vector_store=store,
        docstore=SimpleDocumentStore(),
        docstore_strategy=DocstoreStrategy.UPSERTS_AND_DELETE,
        disable_cache=True,
    )

    def bring(world: World) -> None:
        documents = []
        for source, subject, text in world.documents():
            metadata = {"source": source} if with_source else {}
            documents.append(Document(text=text, id_=f"{source}#{subject}", metadata=metadata))
        pipeline.run(documents=documents)

    def found() -> set[str]:
        return {texts[tuple(one)] for one in store.data.embedding_dict.values()}

    return bring, found


def langchain(cleanup: Any) -> tuple[Bring, Callable[[], set[str]]]:
    """Return what brings a world in by `index()`, and what says which texts are found."""
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.indexing import InMemoryRecordManager, index
    from langchain_core.vectorstores import InMemoryVectorStore

    class Drawn(Embeddings):
        """The encoder."""

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [vector(text) for text in texts]

        def embed_query(self, text: str) -> list[float]:
            return vector(text)

    store = InMemoryVectorStore(Drawn())
    records = InMemoryRecordManager("edits")
    records.create_schema()

    def bring(world: World) -> None:
        documents = []
        for source, subject, text in world.documents():
            metadata = {"source": source, "key": subject}
            documents.append(Document(page_content=text, metadata=metadata))
        index(
            documents, records, store, cleanup=cleanup, source_id_key="source", key_encoder="sha256"
        )

    def found() -> set[str]:
        return {row["text"] for row in store.store.values()}

    return bring, found


def wrap_stores() -> None:
    """Let failures strike at every call that writes to a store."""
    from langchain_core.indexing import InMemoryRecordManager
    from langchain_core.vectorstores import InMemoryVectorStore
    from llama_index.core.storage.kvstore.types import MutableMappingKVStore
    from llama_index.core.vector_stores import SimpleVectorStore

    for owner, names in (
        (SimpleVectorStore, ("add", "delete")),
        (MutableMappingKVStore, ("put", "put_all", "delete")),
        (InMemoryVectorStore, ("add_documents", "delete")),
        (InMemoryRecordManager, ("update", "delete_keys")),
    ):
        for name in names:
            if name in vars(owner):
                STRIKING.wrap(owner, name)


def play(make: Callable[[], Any], scripts: int, failing: bool) -> str:
    """Play all scripts, and return the cells of a row."""
    struck: Counter[str] = Counter()
    stale = 0
    lost = 0
    raised = 0
    wrong_scripts = 0
    for seed in range(scripts):
        bring, found = make()
        wrong = False
        for step in script(seed):
            if failing and step.failure is not None:
                STRIKING.arm(step.failure)
                try:
                    bring(step.world)
                except (Killed, OSError, RuntimeError, ValueError):
                    struck[step.failure.kind] += 1
                STRIKING.arm(None)
            try:
                bring(step.world)
            except ValueError:  # its stores contradict each other since a failure
                raised += 1
            here = found()
            expected = set(expected_texts(step.world, whole=False))
            stale += len(here - expected)
            lost += len(expected - here)
            wrong = wrong or here != expected
        wrong_scripts += wrong
    return (
        f"{struck.total():,} | {raised:,} | {stale:,} | {lost:,} | {wrong_scripts:,} of {scripts:,}"
    )


def main() -> None:
    """Play all scripts with each program, without and with failures, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scripts", type=int, default=1000, help="number of scripts")
    options = parser.parse_args()
    wrap_stores()
    programs = {
        "LlamaIndex, upserts_and_delete, text alone": lambda: llama_index(False),
        "LlamaIndex, upserts_and_delete, source in the metadata": lambda: llama_index(True),
        "LangChain, cleanup incremental": lambda: langchain("incremental"),
        "LangChain, cleanup full": lambda: langchain("full"),
    }
    print(
        "| program | failures that struck | repeats that raise | stale | lost | scripts with either |"
    )
    print("|---|---|---|---|---|---|")
    for name, make in programs.items():
        for failing in (False, True):
            label = f"{name}, with failures" if failing else name
            print(f"| {label} | {play(make, options.scripts, failing)} |", flush=True)


if __name__ == "__main__":
    main()
