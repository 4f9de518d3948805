"""`fab --list`: how this project is deployed. weft deploys itself with its own tasks."""

from weft.tasks.deploy import ns

__all__ = ["ns"]
