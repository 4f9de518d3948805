"""What a server loads: the artifact index.

A deploy names the host's settings in WEFT_SETTINGS; in a checkout the defaults in etc/ apply.
"""

import os
from pathlib import Path

_DEFAULTS = Path(__file__).resolve().parent.parent / "etc" / "weft.ini"
if _DEFAULTS.is_file():
    os.environ.setdefault("WEFT_SETTINGS", str(_DEFAULTS))

from weft.web.app import application  # noqa: E402  (the settings come first)

__all__ = ["application"]
