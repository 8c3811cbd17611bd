"""How many files and connections this process may have open."""

import sys

from stages.core.project.errors import InputError

BACKLOG = 128
"""Connections that are accepted in one go. Those beyond the limit are closed before the next ones are accepted."""
OTHERS = 512
"""Files that are open beside the connections: models, logs, MLflow's store, and connections that are being closed."""


def allow(connections: int) -> None:
    """Let the process have so many connections open. Raises InputError where the system does not let it.

    Without that, connections beyond the system's limit wait unanswered, and files can no longer be opened.
    """
    if sys.platform == "win32":
        return
    import resource

    needed = connections + OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise InputError(
            f"--connections {connections}: {needed} open files are needed, and the system allows {hard}; "
            "choose a smaller number, or raise the limit (ulimit -Hn)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
