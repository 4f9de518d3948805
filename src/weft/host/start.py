"""Where an engine begins: this file is the `__main__.py` of the archive that hosts have.

What the archive keeps of weft for the host's own Python (`weft.host.program`) is read at once. Python's own import of an archive opens it for each module, and takes each
module out of it twice. From here on the engine needs its file no more, which a set-up may replace.
"""

from __future__ import annotations

import marshal
import sys
from importlib.machinery import ModuleSpec
from importlib.util import MAGIC_NUMBER, spec_from_file_location

TYPE_CHECKING = False  # not of weft.typing: what this file imports comes the slow way
if TYPE_CHECKING:
    from typing import Any

CODE = "weft.code"
"""In the archive: the magic number of a Python, and a marshalled table. To each module's name its file, its package's directory ("" for none), its source, and
its code, marshalled once more, so that only what is asked for is taken apart."""


class Held:
    """Finder and loader of the modules in that table. Its methods are those of Python's import system."""

    def __init__(self, table: dict[str, tuple[str, str, bytes, bytes]]):
        self.table = table

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        """None for a module that is another's."""
        if name not in self.table:
            return None
        place, folder, _source, _code = self.table[name]
        return spec_from_file_location(name, place, loader=self, submodule_search_locations=[folder] if folder else None)  # type: ignore[arg-type]

    def create_module(self, _spec: ModuleSpec) -> None:
        """As every module is made."""

    def exec_module(self, module: Any) -> None:
        """Raises what the module raises."""
        exec(marshal.loads(self.table[module.__name__][3]), module.__dict__)

    def get_source(self, name: str) -> str:
        """For tracebacks."""
        return self.table[name][2].decode()

    def get_data(self, path: str) -> bytes:
        """A file that is written elsewhere: a server's entry. Raises OSError."""
        for place, _folder, source, _code in self.table.values():
            if place == path:
                return source
        raise OSError(f"{path} is not in the archive")


def hold(archive: Any) -> bool:
    """Have weft's modules come from what the archive, a zipimporter, keeps for this Python. False, and nothing is done, where it has that for another one, or not at all."""
    try:
        kept = archive.get_data(CODE)
    except OSError:
        return False
    if not kept.startswith(MAGIC_NUMBER):
        return False
    sys.path = [each for each in sys.path if each != archive.archive]  # which would else be asked for each module of Python's own
    sys.meta_path.insert(0, Held(marshal.loads(memoryview(kept)[len(MAGIC_NUMBER):])))  # type: ignore[arg-type]
    return True


def main() -> None:
    """A watchdog's work, or an engine's."""
    from weft.host import watchdog
    if watchdog.wanted(sys.argv[1:]):
        sys.exit(watchdog.main())
    import gc
    gc.disable()
    from weft.host.__main__ import alone
    gc.enable()
    alone()


if __name__ == "__main__":
    hold(__loader__)  # noqa: F821
    main()
