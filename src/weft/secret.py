"""A secret value that no text, log or JSON shows, and the values that texts from elsewhere must not show either."""

from __future__ import annotations

import hmac
import json
import re

from weft.errors import WeftError
from weft.typing import Any, Iterable

SHOWN = "***"
PLAIN = 6
"""Characters from which a value is hidden wherever it stands; a shorter one only where it stands alone as a word."""


class Secret(str):
    """A text that shows itself as three stars, whatever prints, formats or serializes it; `reveal` alone gives its value.

    It is a str with the value "***", so that what takes texts takes it, and what forgets to reveal it leaks nothing.
    Compared in constant time, with other secrets only. It can be neither pickled nor hashed.
    """

    __slots__ = ("_value",)
    __hash__ = None  # type: ignore[assignment]

    def __new__(cls, value: str) -> Secret:
        made = super().__new__(cls, SHOWN)
        made._value = value
        return made

    def reveal(self) -> str:
        """The value: only for what is written where the secret belongs."""
        return self._value

    def __repr__(self) -> str:
        return SHOWN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode("utf-8", "replace"), other._value.encode("utf-8", "replace"))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, _memo: Any) -> Secret:
        return self

    def __reduce_ex__(self, _protocol: Any) -> Any:
        raise TypeError("a secret is not pickled")


def revealed(said: Any) -> Any:
    """The same with every secret in it as its value: for the one line that brings it to where it belongs."""
    if isinstance(said, Secret):
        return said.reveal()
    if isinstance(said, dict):
        return {key: revealed(value) for key, value in said.items()}
    return [revealed(each) for each in said] if isinstance(said, (list, tuple)) else said


class Hidden:
    """Takes known values out of texts that come from elsewhere, such as an application's traceback.

    Also as Python's repr, JSON and an address write them, and each line of a longer text by itself.
    """

    def __init__(self, values: Iterable[str] = ()):
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        for value in values:
            self.add(value)

    def add(self, value: str) -> None:
        from urllib.parse import quote, quote_plus  # most looks at a host know no secret (ADR 21)
        for line in {value, *(each.strip() for each in value.splitlines())}:
            self._forms |= {line, repr(line)[1:-1], json.dumps(line)[1:-1], json.dumps(line, ensure_ascii=False)[1:-1],
                            quote(line, safe=""), quote(line), quote_plus(line)}
        self._forms.discard("")
        self._pattern = re.compile("|".join(map(_form, sorted(self._forms, key=len, reverse=True)))) if self._forms else None

    def text(self, text: str) -> str:
        return self._pattern.sub(SHOWN, text) if self._pattern else text

    def walk(self, said: Any) -> Any:
        """Texts in lists and in tables' values, too."""
        if isinstance(said, str):
            return self.text(said)
        if isinstance(said, dict):
            return {key: self.walk(value) for key, value in said.items()}
        return [self.walk(each) for each in said] if isinstance(said, (list, tuple)) else said

    def clean(self, error: BaseException) -> None:
        """What it says of itself, in place: its words, and of weft's own errors the message and the details."""
        error.args = tuple(self.text(each) if isinstance(each, str) else each for each in error.args)
        if isinstance(error, WeftError):
            error.message, error.details = self.text(error.message), self.walk(error.details)


def _form(value: str) -> str:
    return re.escape(value) if len(value) >= PLAIN else rf"(?<!\w){re.escape(value)}(?!\w)"
