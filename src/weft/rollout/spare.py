"""What is opened before it is needed, so that its round trips pass while a host works: the login that a confirmation needs.

A spare one that does not come about is no failure: what needs it then opens one as it always did, and tells what is wrong.
"""

from __future__ import annotations

import threading
from typing import Any, Callable


class Spare:
    """open: makes it, in a thread of its own from now on.  close: ends one that nobody has taken."""

    def __init__(self, open: Callable[[], Any], close: Callable[[Any], None]):
        self._open, self._close = open, close
        self._made: Any = None
        self._unwanted = False
        self._mutex = threading.Lock()
        self._thread = threading.Thread(target=self._make, daemon=True, name="weft-spare")
        self._thread.start()

    def _make(self) -> None:
        try:
            made = self._open()
        except Exception:  # whoever needs one opens another, and sees why that does not come about
            return
        with self._mutex:
            if not self._unwanted:
                self._made = made
                return
        self._close(made)

    def take(self) -> Any:
        """It, once it has come about; None where it has not. Whoever takes it has to close it."""
        self._thread.join()
        with self._mutex:
            made, self._made = self._made, None
        return made

    def drop(self) -> None:
        """Nobody needs it any more. Does not wait for one that is still being made."""
        with self._mutex:
            self._unwanted = True
            made, self._made = self._made, None
        if made is not None:
            self._close(made)
