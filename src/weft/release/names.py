"""How a project is named in file names."""

from __future__ import annotations

import re


def normal(name: str) -> str:
    """A project's name as PEP 625 and the wheel format have it in file names."""
    return re.sub(r"[-_.]+", "_", name).lower()
