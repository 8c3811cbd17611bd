"""Do unchanged clients of OpenAI's API work with `lore serve`: openai, LangChain, LlamaIndex, curl?

    python docs/experiments/serve_clients.py http://127.0.0.1:8000 [token] [question]

It needs nothing of this project, so it runs in an environment of the clients: `pip install openai langchain-openai
llama-index-llms-openai llama-index-llms-openai-like`. A client that is not installed is named. Each client asks
once for the whole answer and once for a stream, and both must be the same text. It exits with 1 where they differ.
"""

import asyncio
import importlib.metadata
import json
import shutil
import subprocess
import sys
from collections.abc import Callable

MODEL = "lorekeep"
KNOWN_NAME = "gpt-4o-mini"
"""A name that LlamaIndex knows. The server must know it too."""
Client = Callable[[str, str, str], tuple[str, str]]
"""Takes address, token and question. Returns the whole answer, and the one put together from a stream."""


def with_openai(address: str, token: str, question: str) -> tuple[str, str]:
    """The library of OpenAI."""
    from openai import OpenAI

    client = OpenAI(base_url=f"{address}/v1", api_key=token)
    messages = [{"role": "user", "content": question}]
    whole = client.chat.completions.create(model=MODEL, messages=messages)
    stream = client.chat.completions.create(model=MODEL, messages=messages, stream=True)
    return whole.choices[0].message.content, "".join(
        piece.choices[0].delta.content or "" for piece in stream
    )


def with_openai_async(address: str, token: str, question: str) -> tuple[str, str]:
    """The same library, without waiting."""
    from openai import AsyncOpenAI

    async def both() -> tuple[str, str]:
        client = AsyncOpenAI(base_url=f"{address}/v1", api_key=token)
        messages = [{"role": "user", "content": question}]
        whole = await client.chat.completions.create(model=MODEL, messages=messages)
        pieces = []
        async for piece in await client.chat.completions.create(
            model=MODEL, messages=messages, stream=True
        ):
            pieces.append(piece.choices[0].delta.content or "")
        return whole.choices[0].message.content, "".join(pieces)

    return asyncio.run(both())


def with_langchain(address: str, token: str, question: str) -> tuple[str, str]:
    """ChatOpenAI of LangChain."""
    from langchain_openai import ChatOpenAI

    chat = ChatOpenAI(base_url=f"{address}/v1", api_key=token, model=MODEL)
    whole = chat.invoke(question).content
    return whole, "".join(piece.content for piece in chat.stream(question))


def with_llama_index(address: str, token: str, question: str) -> tuple[str, str]:
    """OpenAILike of LlamaIndex, which is its OpenAI class for other servers."""
    from llama_index.core.llms import ChatMessage
    from llama_index.llms.openai_like import OpenAILike

    llm = OpenAILike(model=MODEL, api_base=f"{address}/v1", api_key=token, is_chat_model=True)
    messages = [ChatMessage(role="user", content=question)]
    whole = llm.chat(messages).message.content
    return whole, "".join(piece.delta or "" for piece in llm.stream_chat(messages))


def with_llama_index_openai(address: str, token: str, question: str) -> tuple[str, str]:
    """OpenAI of LlamaIndex, which knows OpenAI's model names only: lore serve --model-name gpt-4o-mini."""
    from llama_index.core.llms import ChatMessage
    from llama_index.llms.openai import OpenAI

    llm = OpenAI(model=KNOWN_NAME, api_base=f"{address}/v1", api_key=token)
    messages = [ChatMessage(role="user", content=question)]
    whole = llm.chat(messages).message.content
    return whole, "".join(piece.delta or "" for piece in llm.stream_chat(messages))


def with_curl(address: str, token: str, question: str) -> tuple[str, str]:
    """curl."""
    program = shutil.which("curl")
    if program is None:
        raise ImportError("curl is not installed")
    texts = []
    for stream in (False, True):
        body = {"messages": [{"role": "user", "content": question}], "stream": stream}
        command = [program, "-sN", f"{address}/v1/chat/completions", "-d", json.dumps(body)]
        command += [
            "-H",
            "Content-Type: application/json",
            "-H",
            f"Authorization: Bearer {token}",
        ]
        texts.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    whole = json.loads(texts[0])["choices"][0]["message"]["content"]
    pieces = []
    for line in texts[1].splitlines():
        if line.startswith("data: {"):
            delta = json.loads(line.removeprefix("data: "))["choices"][0]["delta"]
            pieces.append(delta.get("content", ""))
    return whole, "".join(pieces)


CLIENTS: dict[str, tuple[Client, str]] = {
    "openai": (with_openai, "openai"),
    "openai, async": (with_openai_async, "openai"),
    "LangChain ChatOpenAI": (with_langchain, "langchain-openai"),
    "LlamaIndex OpenAILike": (with_llama_index, "llama-index-llms-openai-like"),
    "LlamaIndex OpenAI": (with_llama_index_openai, "llama-index-llms-openai"),
    "curl": (with_curl, ""),
}
"""Client, and the package that it is from."""


def main() -> int:
    """Ask with every client, print a row each, and return how many failed."""
    address = sys.argv[1]
    token = sys.argv[2] if len(sys.argv) > 2 else "none"
    question = sys.argv[3] if len(sys.argv) > 3 else "When does iron melt?"
    failed = 0
    for name, (client, package) in CLIENTS.items():
        try:
            version = importlib.metadata.version(package) if package else ""
            whole, stream = client(address, token, question)
        except ImportError as error:
            print(f"{name}: not tried ({error})")
            continue
        except Exception as error:
            print(f"{name} {version}: FAILED, {type(error).__name__}: {error}")
            failed += 1
            continue
        is_same = whole == stream and bool(whole)
        failed += not is_same
        print(f"{name} {version}: {whole!r}; stream {'the same' if is_same else repr(stream)}")
    return failed


if __name__ == "__main__":
    raise SystemExit(1 if main() else 0)
