"""The decision layer of a split model, and how vectors and tokens travel to it and back.

A request is the width of the vector (four bytes, unsigned, little-endian), then that many numbers of float32
(little-endian). The answer is the likeliest token (four bytes, unsigned, little-endian). A request of another width
ends the connection, so that no client can make the process read, or keep, more than one vector.
"""

import socket
import struct
from pathlib import Path
from typing import Any

WEIGHTS = "model.safetensors"
NUMBER = struct.Struct("<I")
FLOAT_BYTES = 4


class ConnectionEndedError(Exception):
    """The other side has gone, or said what is no vector."""


def load(folder: Path) -> Any:
    """Load the head: a linear layer from `width` to one score per token."""
    import torch
    from safetensors.torch import load_file

    weights = load_file(folder / WEIGHTS)
    vocabulary, width = weights["weight"].shape
    layer = torch.nn.Linear(width, vocabulary, bias="bias" in weights, dtype=torch.float32)
    layer.load_state_dict(weights)
    return layer.eval()


def serve(connection: socket.socket, layer: Any) -> None:
    """Answer the requests of one connection until it ends."""
    import numpy as np
    import torch

    while True:
        try:
            content = receive_vector(connection, layer.in_features)
        except (ConnectionEndedError, ConnectionError):
            return
        vector = torch.from_numpy(np.frombuffer(content, dtype="<f4").copy())
        with torch.inference_mode():
            token = int(layer(vector.to(layer.weight.device)[None]).argmax())
        connection.sendall(NUMBER.pack(token))


def send_vector(connection: socket.socket, vector: Any) -> None:
    """Send a vector of float32 (width)."""
    connection.sendall(NUMBER.pack(len(vector)) + vector.astype("<f4").tobytes())


def receive_vector(connection: socket.socket, width: int) -> bytes:
    """Return the bytes of a vector. Raises ConnectionEndedError where it has another width."""
    (said,) = NUMBER.unpack(receive(connection, NUMBER.size))
    if said != width:
        raise ConnectionEndedError(f"a vector of {said} numbers, where {width} are needed")
    return receive(connection, width * FLOAT_BYTES)


def receive_token(connection: socket.socket) -> int:
    """Return the token that the decision layer chose."""
    (token,) = NUMBER.unpack(receive(connection, NUMBER.size))
    return int(token)


def receive(connection: socket.socket, size: int) -> bytes:
    """Return exactly `size` bytes. Raises ConnectionEndedError where the other side ends before."""
    content = b""
    while len(content) < size:
        part = connection.recv(size - len(content))
        if not part:
            raise ConnectionEndedError(f"{len(content)} of {size} bytes came")
        content += part
    return content
