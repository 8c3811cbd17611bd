"""The engine behind an address: a vLLM server with the version's base model, for GPUs.

vLLM keeps keys and values of earlier prompts by the adapter's name, so an adapter that is loaded under the
name of another one may answer from the other one's cache (vllm issue 42125). Here each version's adapter has
a name of its own, which ends in its identity, and is unloaded with its generation.

vLLM must run on this machine or in a network of its own: it guards only a part of its paths with its key.
The key comes from VLLM_API_KEY.
"""

import hashlib
import json
import os
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lore.serving.engines.engine import Job
from stages.core.project.errors import InputError, ModelError

KEY = "VLLM_API_KEY"
AT_ONCE = 64
"""Requests to vLLM at once. It forms the batches."""


class VllmEngine:
    """The adapter of one version in a vLLM server."""

    name = "vllm"

    def __init__(self, url: str, model: str, adapter: Path | None, seconds: float) -> None:
        """Load an adapter under a name of its own, or use vLLM's `model` itself where there is none.

        Raises InputError where the server cannot be reached, or refuses the adapter.
        """
        if not url.startswith(("http://", "https://")):
            raise InputError(f"--vllm-url {url}: write http://host:port")
        self._url = url.rstrip("/")
        self._seconds = seconds
        self._adapter = adapter
        self._model = model
        self._is_closed = False
        if adapter is not None:
            self._model = adapter_name(adapter)
            self._post(
                "/v1/load_lora_adapter",
                {"lora_name": self._model, "lora_path": str(adapter.resolve())},
            )
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="vllm")

    def submit(self, job: Job) -> None:
        """Send a job."""
        if self._is_closed:
            job.on_end(ModelError("the engine was closed before the answer was complete"))
            return
        self._pool.submit(self._answer, job)

    def close(self) -> None:
        """Unload the adapter when the last answer is complete."""
        if self._is_closed:
            return
        self._is_closed = True
        self._pool.shutdown(wait=True)
        if self._adapter is not None:
            self._post("/v1/unload_lora_adapter", {"lora_name": self._model})

    def _answer(self, job: Job) -> None:
        try:
            self._stream(job)
        except Exception as error:
            job.on_end(ModelError(f"vLLM did not answer ({type(error).__name__})"))
        else:
            job.on_end(None)

    def _stream(self, job: Job) -> None:
        """Hand out the tokens of an answer as vLLM writes them. Leaving the loop ends its work."""
        body = {
            "model": self._model,
            "prompt": job.prompt,
            "max_tokens": job.most,
            "temperature": 0,
            "stream": True,
            "return_token_ids": True,
            "skip_special_tokens": False,
        }
        with self._open("/v1/completions", body) as response:
            for line in response:
                text = line.decode("utf-8").strip()
                if job.cancelled.is_set() or text == "data: [DONE]":
                    return
                if not text.startswith("data: "):
                    continue
                choice = json.loads(text.removeprefix("data: "))["choices"][0]
                tokens = choice.get("token_ids") or []
                if tokens and job.on_tokens(tokens):
                    return

    def _post(self, path: str, body: dict[str, Any]) -> None:
        try:
            with self._open(path, body):
                return
        except urllib.error.HTTPError as error:
            said = " ".join(error.read().decode("utf-8", "replace").split())[:300]
            raise InputError(
                f"{self._url}{path}: {error.code} {said}; start vLLM with --enable-lora and "
                "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, on this machine or with the same folders"
            ) from None
        except OSError as error:
            raise InputError(f"{self._url}: no vLLM server answers there ({error})") from None

    def _open(self, path: str, body: dict[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        if os.environ.get(KEY):
            headers["Authorization"] = f"Bearer {os.environ[KEY]}"
        request = urllib.request.Request(  # noqa: S310  # the address begins with http
            self._url + path, json.dumps(body).encode(), headers
        )
        return urllib.request.urlopen(request, timeout=self._seconds)  # noqa: S310


def adapter_name(adapter: Path) -> str:
    """Return the name of an adapter in vLLM, which tells its content."""
    content = (adapter / "adapter_model.safetensors").read_bytes()
    return f"lorekeep-{hashlib.sha256(content).hexdigest()[:16]}"
