"""Records: classes of named values, as `dataclasses` makes them, at a tenth of what those cost at each start.

An engine is started anew for every look at a host. Of the 0.11 s of processor that its imports took, `dataclasses` took a third: it loads `inspect`, and
compiles up to six methods for each class (ADR 21). Here all classes share the same methods, which are slower by a few microseconds an instance. To whoever asks,
a record is a dataclass: `dataclasses.replace`, `asdict` and `fields` take it.
"""

from __future__ import annotations

from weft.typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from typing import TypeVar
    _T = TypeVar("_T")
_PLAIN = (str, int, float, bool, type(None), bytes)


class Default:
    """What a field has where nothing is said: a value, or what `make` gives, anew each time. quiet: not in the repr. hashed: whether it is in the hash."""

    def __init__(self, value: Any, make: Callable[[], Any] | None = None, quiet: bool = False, hashed: bool = True):
        self.value, self.make, self.quiet, self.hashed = value, make, quiet, hashed

    def words(self) -> dict[str, Any]:
        """For `dataclasses.field`."""
        return {"default_factory": self.make} if self.make else {} if self.value is _MISSING else {"default": self.value}


_MISSING = object()


def field(*, default_factory: Callable[[], Any] | None = None, repr: bool = True, hash: bool = True) -> Any:
    """As `dataclasses.field`."""
    return Default(_MISSING, default_factory, not repr, hash)


class _Fields:
    """`__dataclass_fields__`, made when somebody asks for it."""

    def __init__(self) -> None:
        self.made: dict[str, Any] = {}

    def __get__(self, _instance: Any, cls: Any) -> dict[str, Any]:
        if not self.made:
            import dataclasses
            told = [(name, Any, dataclasses.field(repr=not said.quiet, hash=None if said.hashed else False, **said.words())) for name, said in cls.__fields__.items()]
            self.made = dataclasses.make_dataclass(cls.__name__, told).__dataclass_fields__
        return self.made


def names(cls: type) -> tuple[str, ...]:
    """Of its fields, in their order."""
    return cls.__match_args__  # type: ignore[attr-defined, no-any-return]


def replace(instance: _T, **changes: Any) -> _T:
    """A copy with other values in some fields. Raises TypeError for a name that is no field."""
    return type(instance)(**{**{name: instance.__dict__[name] for name in names(type(instance))}, **changes})


def asdict(value: Any) -> Any:
    """Its fields by name, with the records, mappings, lists and tuples in it copied likewise."""
    if isinstance(value, _PLAIN):
        return value
    if hasattr(type(value), "__fields__"):
        return {name: asdict(getattr(value, name)) for name in names(type(value))}
    if isinstance(value, (list, tuple)):
        return type(value)(map(asdict, value))
    if isinstance(value, dict):
        return {key: asdict(each) for key, each in value.items()}
    return value


def _begin(self: Any, *args: Any, **said: Any) -> None:
    cls = type(self)
    if args:
        if len(args) > len(names(cls)):
            raise TypeError(f"{cls.__name__}() takes {len(names(cls))} values, not {len(args)}")
        for name, value in zip(names(cls), args):
            if name in said:
                raise TypeError(f"{cls.__name__}() got {name} twice")
            said[name] = value
    mine = self.__dict__
    for name, default in cls.__fields__.items():
        if name in said:
            mine[name] = said.pop(name)
        elif default.make:
            mine[name] = default.make()
        elif default.value is not _MISSING:
            mine[name] = default.value
        else:
            raise TypeError(f"{cls.__name__}() misses {name}")
    if said:
        raise TypeError(f"{cls.__name__}() has no {', '.join(said)}")
    if hasattr(cls, "__post_init__"):
        self.__post_init__()


def _values(self: Any) -> tuple[Any, ...]:
    return tuple(self.__dict__[name] for name in names(type(self)))


def _equal(self: Any, other: Any) -> Any:
    return _values(self) == _values(other) if type(other) is type(self) else NotImplemented


def _hashed(self: Any) -> int:
    return hash(tuple(self.__dict__[name] for name, default in type(self).__fields__.items() if default.hashed))


def _shown(self: Any) -> str:
    said = (f"{name}={self.__dict__[name]!r}" for name, default in type(self).__fields__.items() if not default.quiet)
    return f"{type(self).__qualname__}({', '.join(said)})"


def _fixed(self: Any, name: str, _value: Any = None) -> None:
    raise AttributeError(f"{type(self).__name__}.{name} is not to be changed")


if TYPE_CHECKING:
    from dataclasses import dataclass as record
else:
    def record(cls: Any = None, *, frozen: bool = False) -> Any:
        """Make a class a record: as `dataclasses.dataclass`, which the words in it mean. An annotation is a field; order and inheritance of fields are not offered."""
        if cls is None:
            return lambda given: record(given, frozen=frozen)
        fields = {}
        for name in cls.__dict__.get("__annotations__", {}):
            said = cls.__dict__.get(name, _MISSING)
            fields[name] = said if isinstance(said, Default) else Default(said)
            if isinstance(said, Default):
                delattr(cls, name)
        own = cls.__dict__
        cls.__fields__, cls.__match_args__, cls.__init__, cls.__dataclass_fields__ = fields, tuple(fields), _begin, _Fields()
        given = {"__eq__": _equal, "__repr__": _shown, "__hash__": _hashed if frozen else None, **({"__setattr__": _fixed, "__delattr__": _fixed} if frozen else {})}
        for name, method in given.items():
            if name not in own or own[name] is None:
                setattr(cls, name, method)
        return cls
