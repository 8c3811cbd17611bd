"""How two paths of a project lie to each other. They are written with `/`, and relative to its root."""


def is_inside(path: str, folder: str) -> bool:
    """Whether a path is the folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def touch(path: str, other: str) -> bool:
    """Whether two paths are the same, or one lies in the other."""
    return is_inside(path, other) or is_inside(other, path)
