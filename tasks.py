"""`inv --list`: how this project is tested and released. weft releases itself with its own tasks."""

from weft.tasks.release import ns

__all__ = ["ns"]
