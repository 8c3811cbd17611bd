"""What `lore serve` takes under load: closed loop, open loop, and servers of others with the same questions.

    python docs/experiments/serve_load.py --engine genai torch [--core 0] [--open 50 100 200] [--peer fastapi]

It starts one server after another on what lies in the working directory, and asks recorded questions. In a
*closed loop*, each of 1 to 32 clients asks again as soon as it has its answer. In an *open loop* (`--open`), questions
come at random moments (a Poisson process) at so many a second, whether or not the earlier ones were answered. `--core`
binds the server to one core. Bind this program to another one with `taskset`.

It prints p50, p95 and p99 of the time to the whole answer, answers and tokens a second, the CPU time of the server
for an answer, its memory, and the load of the machine. The first answers of a server, which are slow, are not
counted but printed. Every answer is compared with the one that `evaluate` recorded.

Peers: `fastapi` answers one request after another with `generate` of transformers, in an app of twenty lines.
`litserve` (32 answers at once) and `transformers` (`transformers serve --continuous-batching`) must be installed.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from stages.core.project import artifacts
from stages.core.records.prompt import question_prompt

CLIENTS = (1, 4, 8, 16, 32)
VARIANT = "distill"
MODEL = Path("models") / VARIANT
WARMED_BY = 64
HEADER = "| engine | load | p50 ms | p95 ms | p99 ms | answers/s | tokens/s | CPU ms/answer | MB | right | machine's load |"

FASTAPI = """
import sys, threading, torch, uvicorn
from fastapi import FastAPI
from transformers import AutoModelForCausalLM, AutoTokenizer
torch.set_num_threads(1)
model = AutoModelForCausalLM.from_pretrained(sys.argv[1]).eval()
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
app, lock = FastAPI(), threading.Lock()

@app.post("/v1/chat/completions")
def answer(body: dict):
    inputs = tokenizer(body["messages"][-1]["content"], return_tensors="pt", return_token_type_ids=False)
    with lock, torch.inference_mode():
        ids = model.generate(**inputs, max_new_tokens=64, do_sample=False)[0, inputs["input_ids"].shape[1]:]
    text = tokenizer.decode(ids, skip_special_tokens=True)
    return {"choices": [{"message": {"content": text}}], "usage": {"completion_tokens": len(ids)}}

uvicorn.run(app, port=int(sys.argv[2]), log_level="error")
"""
LITSERVE = """
import sys, litserve as ls, torch
from transformers import AutoModelForCausalLM, AutoTokenizer

class Answers(ls.LitAPI):
    def setup(self, device):
        torch.set_num_threads(1)
        self.model = AutoModelForCausalLM.from_pretrained(sys.argv[1]).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(sys.argv[1], padding_side="left")
    def decode_request(self, request):
        return request["messages"][-1]["content"]
    def predict(self, prompts):
        inputs = self.tokenizer(prompts, padding=True, return_tensors="pt", return_token_type_ids=False)
        with torch.inference_mode():
            ids = self.model.generate(**inputs, max_new_tokens=64, do_sample=False)
        return [row[inputs["input_ids"].shape[1]:] for row in ids]
    def unbatch(self, output):
        return output
    def encode_response(self, ids):
        ids = ids[ids != self.tokenizer.pad_token_id]
        text = self.tokenizer.decode(ids, skip_special_tokens=True)
        return {"choices": [{"message": {"content": text}}], "usage": {"completion_tokens": len(ids)}}

if __name__ == "__main__":
    api = Answers(max_batch_size=32, batch_timeout=0.005, api_path="/v1/chat/completions")
    server = ls.LitServer(api, accelerator="cpu", timeout=600)
    server.run(port=int(sys.argv[2]), host="127.0.0.1", generate_client_file=False, log_level="error")
"""
TEMPLATED = Path(tempfile.gettempdir()) / "lorekeep_templated"
"""The model with a chat template that adds nothing: `transformers serve` answers 500 where there is none."""
PEERS = ("fastapi", "litserve", "transformers")


@dataclass(frozen=True)
class Asked:
    """What came of one question."""

    seconds: float
    tokens: int
    is_right: bool


@dataclass(frozen=True)
class Server:
    """A server that runs."""

    name: str
    address: str
    process: psutil.Process
    takes_prompts: bool
    """Whether it is given the prompt of `evaluate` instead of the question: it does not know the prompt's form."""

    def cpu_seconds(self) -> float:
        """Return the CPU time of the server and its processes."""
        processes = [self.process, *self.process.children(recursive=True)]
        return float(sum(sum(process.cpu_times()[:2]) for process in processes))

    def megabytes(self) -> float:
        """Return the memory of the server and its processes. What they share counts several times."""
        processes = [self.process, *self.process.children(recursive=True)]
        return sum(process.memory_info().rss for process in processes) / 1e6


def main() -> None:
    """Measure each server and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", nargs="*", default=["torch"], help="engines of lore serve")
    parser.add_argument("--peer", nargs="*", default=[], choices=PEERS)
    parser.add_argument("--answers", type=int, default=400, help="questions for each load")
    parser.add_argument("--open", nargs="*", type=float, default=[], help="questions a second")
    parser.add_argument("--core", type=int, help="the server's core. Default: all")
    options = parser.parse_args()
    table = pd.read_parquet(artifacts.ANSWERS)
    rows = table[table["variant"] == VARIANT]
    known = list(zip(rows["question"], rows["answer"], strict=True))
    random.Random(0).shuffle(known)
    chosen = known[WARMED_BY : WARMED_BY + options.answers]
    print(HEADER)
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for name in [*options.engine, *options.peer]:
        with started(name, options.core) as server:
            results, _ = asyncio.run(closed(server, known[:WARMED_BY], 8))
            print(
                f"| {server.name} | the first {WARMED_BY} (8 clients) {cells(results)} | | | | | |"
            )
            for clients in CLIENTS:
                print(
                    row(server, f"{clients} clients", closed(server, chosen, clients)), flush=True
                )
            for rate in options.open:
                print(row(server, f"{rate:g} a second", opened(server, chosen, rate)), flush=True)


@contextlib.contextmanager
def started(name: str, core: int | None) -> Iterator[Server]:
    """Start a server, yield it when it answers, and end it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    if name == "fastapi":
        command = [sys.executable, "-c", FASTAPI, str(MODEL), str(port)]
    elif name == "litserve":
        file = (
            Path(tempfile.gettempdir()) / "lorekeep_litserve.py"
        )  # it spawns processes, so it is a file
        file.write_text(LITSERVE)
        command = [sys.executable, str(file), str(MODEL), str(port)]
    elif name == "transformers":
        shutil.copytree(MODEL, TEMPLATED, dirs_exist_ok=True)
        (TEMPLATED / "chat_template.jinja").write_text("{{ bos_token }}{{ messages[-1].content }}")
        command = [sys.executable, "-c", "from transformers.cli.transformers import main; main()"]
        command += ["serve", "--continuous-batching", "--cb-num-blocks", "64", "--device", "cpu"]
        command += ["--dtype", "float32", "--port", str(port), str(TEMPLATED)]
    else:
        command = [
            sys.executable,
            "-m",
            "lore",
            "serve",
            "--port",
            str(port),
            "--follow",
            "workspace",
        ]
        command += ["--engine", name, "--requests-per-minute", "1000000", "--queue", "256"]
        command += ["--tokens-per-minute", "100000000", "--seconds", "600"]
    if core is not None:
        command = ["taskset", "-c", str(core), *command]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    server = Server(name, address, psutil.Process(process.pid), name in PEERS)
    try:
        for _ in range(600):
            assert process.poll() is None, f"{name} ended with {process.returncode}"
            with contextlib.suppress(OSError):
                ask(server, "Is it warm?")
                break
            time.sleep(0.2)
        yield server
    finally:
        for child in server.process.children(recursive=True):
            child.terminate()
        process.terminate()
        process.wait()


def row(server: Server, load: str, work: Any) -> str:
    """Run one load and return its row of the table."""
    before = server.cpu_seconds()
    results, seconds = asyncio.run(work)
    cpu = server.cpu_seconds() - before
    tokens = sum(asked.tokens for asked in results)
    right = sum(asked.is_right for asked in results)
    number = len(results)
    return (
        f"| {server.name} | {load} {cells(results)} | {number / seconds:.1f} | {tokens / seconds:.0f} "
        f"| {cpu * 1000 / number:.1f} | {server.megabytes():.0f} | {right}/{number} | {os.getloadavg()[0]:.0f} |"
    )


def cells(results: list[Asked]) -> str:
    """Return the cells p50, p95 and p99, in milliseconds."""
    times = sorted(asked.seconds * 1000 for asked in results)
    return "".join(
        f"| {times[min(len(times) - 1, int(share * len(times)))]:.0f} "
        for share in (0.5, 0.95, 0.99)
    )


async def closed(
    server: Server, known: list[tuple[str, str]], clients: int
) -> tuple[list[Asked], float]:
    """Return what came of every question, asked by so many clients, and the seconds that it took."""
    waiting = list(known)
    results: list[Asked] = []

    async def client() -> None:
        while waiting:
            question, expected = waiting.pop()
            results.append(await asyncio.to_thread(asked, server, question, expected))

    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(clients))
    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    return results, time.perf_counter() - began


async def opened(
    server: Server, known: list[tuple[str, str]], rate: float
) -> tuple[list[Asked], float]:
    """Return what came of questions at random moments, so many a second, and the seconds that it took."""
    draw = random.Random(rate)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(256))
    began = time.perf_counter()
    moment = 0.0
    tasks = []
    for question, expected in known:
        moment += draw.expovariate(rate)
        await asyncio.sleep(max(0.0, began + moment - time.perf_counter()))
        tasks.append(asyncio.create_task(asyncio.to_thread(asked, server, question, expected)))
    results = list(await asyncio.gather(*tasks))
    return results, time.perf_counter() - began


def asked(server: Server, question: str, expected: str) -> Asked:
    """Ask one question."""
    began = time.perf_counter()
    answer = ask(server, question)
    seconds = time.perf_counter() - began
    said = answer["choices"][0]["message"]["content"]
    return Asked(seconds, answer["usage"]["completion_tokens"], said.split() == expected.split())


def ask(server: Server, question: str) -> Any:
    """Return the answer to one question."""
    content = question_prompt(question) if server.takes_prompts else question
    document: dict[str, Any] = {"messages": [{"role": "user", "content": content}]}
    if server.name == "transformers":
        document |= {"model": str(TEMPLATED), "max_tokens": 64, "temperature": 0}
    headers = {"Content-Type": "application/json"}
    url = f"{server.address}/v1/chat/completions"
    request = urllib.request.Request(url, json.dumps(document).encode(), headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=600) as response:  # noqa: S310 - its own server
        return json.load(response)


if __name__ == "__main__":
    assert Path(artifacts.ANSWERS).is_file(), "run dvc repro first"
    main()
