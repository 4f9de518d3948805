"""What annotations need of `typing`, without loading it where they are not looked at: 3 to 4 ms of each start of an engine (ADR 23).

To a type checker these are the real names. At run time nobody reads an annotation here (each module has `from __future__ import annotations`), so that what has
no meaning outside of one is `object`. A class that is made by one, a NamedTuple or a Protocol, takes `typing` itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, BinaryIO, NoReturn
else:
    Any = BinaryIO = NoReturn = object

__all__ = ["TYPE_CHECKING", "Any", "BinaryIO", "Callable", "Collection", "Iterable", "Iterator", "Mapping", "NoReturn", "Sequence"]
