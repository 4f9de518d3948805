"""How long the sweeps are. `make test` takes one of each kind of point, the same in every run; WEFT_SWEEPS=whole takes them all."""

import os

WHOLE = os.environ.get("WEFT_SWEEPS") == "whole"


def size(everyday, whole):
    """Of the two, the one that is wanted now."""
    return whole if WHOLE else everyday
