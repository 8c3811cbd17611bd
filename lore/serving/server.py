"""Starting, following and ending: everything around the application."""

import logging
import signal
import socket
from pathlib import Path
from types import FrameType

from lore.serving import handles, log, versions
from lore.serving.access import Access, require_tokens
from lore.serving.comparison import Comparison, table
from lore.serving.gate import Gate
from lore.serving.generations import Generation, Generations
from lore.serving.loading import Loader
from lore.serving.metrics import Metrics
from lore.serving.settings import Settings
from lore.serving.versions import Finder, Target
from lore.serving.watching import Watcher
from stages.core.project.errors import InputError

LOG = logging.getLogger("lore.serving")


def serve(settings: Settings, access: Access, threads: int) -> None:
    """Answer until SIGTERM or Ctrl-C comes. Requests that are being answered are answered to their end.

    Raises InputError or ModelError where nothing can be served.
    """
    from lore.serving.app import make_app

    require_tokens(settings.host, access)
    handles.allow(settings.limits.connections)
    log.to_standard_error()
    with listening(settings) as listener:
        metrics = Metrics()
        loader = Loader(settings, threads, metrics.batch.observe)
        finder = Finder()
        target = first_target(settings, finder)
        generation = loader.load(target)
        candidate = None
        if settings.candidate is not None:
            candidate = loader.load(versions.named_target(settings.candidate, finder))
            log_candidate(candidate, settings)
        generations = Generations(generation, candidate, settings.share, settings.names)
        comparison = Comparison()
        version = generation.version
        metrics.serve(version.name, version.identity, generation.variant, version.generation)
        watcher = None
        if settings.follow == "alias":
            watcher = Watcher(generations, loader, metrics, finder, target, settings.every)
            watcher.start()
        request_log = None
        if settings.request_log is not None:
            request_log = log.RequestLog(Path(settings.request_log))
        app = make_app(generations, settings, access, metrics, request_log, comparison)
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        print(
            f"serving {version.name}, {generation.variant}, engine {generation.engine.name}, "
            f"at http://{shown}:{port}",
            flush=True,
        )
        try:
            run(app, listener, settings)
        finally:
            if watcher is not None:
                watcher.stop()
            generations.close()
            if request_log is not None:
                request_log.close()
    if candidate is not None:
        print(table(comparison.report(candidate)))
    print("ended: every request that had begun was answered", flush=True)


def log_candidate(candidate: Generation, settings: Settings) -> None:
    """Say what the candidate is for."""
    LOG.info(
        "candidate %s: answers %g of the callers, and in the shadow %g of the other questions",
        candidate.name,
        settings.share,
        settings.shadow,
    )


def run(app: Gate, listener: socket.socket, settings: Settings) -> None:
    """Answer until SIGTERM or Ctrl-C comes, and then what has begun."""
    import uvicorn

    from lore.serving.protocol import protocol_of

    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        http=protocol_of(settings.limits),
        # The protocol refuses connections beyond the limit, so this one never counts more.
        limit_concurrency=settings.limits.connections + 1,
        backlog=handles.BACKLOG,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=int(settings.limits.seconds) + 1,
        ws="none",
    )

    def ended(number: int, frame: FrameType | None) -> None:
        """Do nothing: uvicorn raises the signal once more when it has ended, which would kill what follows."""

    before = {number: signal.signal(number, ended) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def first_target(settings: Settings, finder: Finder) -> Target:
    """Return the version to begin with: that of the alias, else what lies here."""
    if settings.follow == "alias":
        # A server that starts beside half a rollback begins where that will be undone to.
        target = versions.target_before_act(finder) or versions.alias_target(finder)
        if target is not None:
            return target
        LOG.warning(
            "MLflow has no alias of register.model in params.yaml yet, so what lies in this folder is "
            "served until lore release sets it"
        )
    return versions.workspace_target()


def listening(settings: Settings) -> socket.socket:
    """Return a socket at the address, before anything is loaded. Raises InputError where it is taken."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise InputError(
            f"{settings.host}:{settings.port}: cannot be used ({error.strerror}); "
            "choose another --port, or end the program that has it"
        ) from None
    listener.listen(handles.BACKLOG)
    return listener
