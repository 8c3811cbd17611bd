"""What `lore serve` takes under load: closed loop, 1 to 32 clients, one run.

`python docs/experiments/serve_load.py --engine torch genai` starts a server of each engine in turn, on what
lies in the working directory, and asks recorded questions. Each client asks again as soon as it has its
answer. It prints p50, p95 and p99 of the time to the whole answer, answers and tokens a second, the CPU time of
the server for an answer, its memory, and the load of the machine. Every answer is compared with the one that
`evaluate` recorded.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

from stages.core.project import artifacts

CLIENTS = (1, 4, 8, 16, 32)
VARIANT = "distill"


def main() -> None:
    """Measure each engine and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", nargs="+", default=["torch"])
    parser.add_argument(
        "--answers", type=int, default=200, help="answers for each number of clients"
    )
    options = parser.parse_args()
    table = pd.read_parquet(artifacts.ANSWERS)
    rows = table[table["variant"] == VARIANT]
    known = list(zip(rows["question"], rows["answer"], strict=True))
    print(
        "| engine | clients | p50 ms | p95 ms | p99 ms | answers/s | tokens/s | CPU ms/answer | MB | right | load |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for engine in options.engine:
        command = [sys.executable, "-m", "lore", "serve", "--port", "0", "--follow", "workspace"]
        command += ["--engine", engine, "--requests-per-minute", "1000000"]
        command += ["--tokens-per-minute", "100000000"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            address = server.stdout.readline().strip().rpartition(" ")[2]
            try:
                asyncio.run(ask_all(address, known[:32], 1))  # warm
                for clients in CLIENTS:
                    measured = measure(server.pid, address, known[: options.answers], clients)
                    print(f"| {engine} | {clients} | {measured} |", flush=True)
            finally:
                server.terminate()
                server.wait()


def measure(pid: int, address: str, known: list[tuple[str, str]], clients: int) -> str:
    """Return the cells of a row."""
    process = psutil.Process(pid)
    before = sum(process.cpu_times()[:2])
    began = time.perf_counter()
    results = asyncio.run(ask_all(address, known, clients))
    wall = time.perf_counter() - began
    cpu = sum(process.cpu_times()[:2]) - before
    times = sorted(seconds * 1000 for seconds, _, _ in results)
    tokens = sum(number for _, number, _ in results)
    right = sum(is_right for _, _, is_right in results)
    memory = process.memory_info().rss / 1e6
    cells = [f"{at(times, share):.0f}" for share in (0.5, 0.95, 0.99)]
    cells += [f"{len(times) / wall:.1f}", f"{tokens / wall:.0f}", f"{cpu * 1000 / len(times):.1f}"]
    cells += [f"{memory:.0f}", f"{right}/{len(times)}", f"{os.getloadavg()[0]:.0f}"]
    return " | ".join(cells)


def at(times: list[float], share: float) -> float:
    """Return the time that a share of the answers took at most."""
    return times[min(len(times) - 1, int(share * len(times)))]


async def ask_all(
    address: str, known: list[tuple[str, str]], clients: int
) -> list[tuple[float, int, bool]]:
    """Return seconds, tokens and whether it was the recorded answer, of every question."""
    waiting = list(known)
    results: list[tuple[float, int, bool]] = []

    async def client() -> None:
        while waiting:
            question, expected = waiting.pop()
            began = time.perf_counter()
            answer = await asyncio.to_thread(ask, address, question)
            seconds = time.perf_counter() - began
            said = answer["choices"][0]["message"]["content"]
            is_right = said.split() == expected.split()
            results.append((seconds, answer["usage"]["completion_tokens"], is_right))

    loop = asyncio.get_running_loop()
    from concurrent.futures import ThreadPoolExecutor

    loop.set_default_executor(ThreadPoolExecutor(clients))
    await asyncio.gather(*(client() for _ in range(clients)))
    return results


def ask(address: str, question: str) -> Any:
    """Return the answer to one question."""
    body = json.dumps({"messages": [{"role": "user", "content": question}]}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/v1/chat/completions", body, headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=120) as response:  # noqa: S310  # its own server
        return json.load(response)


if __name__ == "__main__":
    assert Path(artifacts.ANSWERS).is_file(), "run dvc repro first"
    main()
