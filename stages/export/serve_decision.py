"""The decision layer of a split model as a process: `python -m stages.export.serve_decision <folder>`.

It listens on 127.0.0.1 and writes one line, {"host": …, "port": …}. It serves one connection after the other, in the
protocol of `decision.py`.
"""

import argparse
import json
import socket
import sys
from pathlib import Path

from stages.core.project import runtime
from stages.export import decision

HOST = "127.0.0.1"


def main(argv: list[str] | None = None) -> int:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(
        prog="python -m stages.export.serve_decision",
        description="Serve the decision layer of a model that the stage export split. It listens on 127.0.0.1 only.",
        epilog="docs/export.md has the protocol.",
    )
    parser.add_argument("folder", type=Path, help="models/export/split/decision")
    parser.add_argument("--port", type=int, default=0, help="port; 0 (the default): a free one")
    parser.add_argument(
        "--device", choices=["cpu", "auto"], default="cpu", help="auto: a GPU where there is one"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default 1)")
    options = parser.parse_args(argv)
    if not (options.folder / decision.WEIGHTS).is_file():
        print(
            f"{options.folder / decision.WEIGHTS}: not found; write split into export.formats, then dvc repro export",
            file=sys.stderr,
        )
        return 1
    runtime.die_with_parent()
    import torch

    torch.set_num_threads(options.threads)
    is_on_gpu = options.device == "auto" and torch.cuda.is_available()
    layer = decision.load(options.folder).to("cuda" if is_on_gpu else "cpu")
    with socket.create_server((HOST, options.port)) as server:
        print(json.dumps({"host": HOST, "port": server.getsockname()[1]}), flush=True)
        while True:
            connection, _ = server.accept()
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                decision.serve(connection, layer)


if __name__ == "__main__":
    sys.exit(main())
