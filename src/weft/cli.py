"""The command `weft`: what is neither a task of inv nor of fab."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
from pathlib import Path
from typing import NoReturn, Sequence

import weft
from weft.errors import UsageError
from weft.tasks import shell

_EXAMPLE = """\
example:
  weft new hello                  a project in ./hello, with its first commit
  cd hello
  inv release --version 0.1.0     test, build, tag and publish it
  fab deploy --version 0.1.0      carry it to its hosts

Releasing is done with `inv` (see `inv --list`), deploying with `fab` (see `fab --list`), in the project's root.
Exit codes: 0 done, 2 your words, 3 refused and nothing changed, 1 a bug, 130 interrupted.
"""

# What people may look for here.
_ELSEWHERE = {**dict.fromkeys(("release", "test", "build", "lock", "verify", "yank"), "inv"),
              **dict.fromkeys(("deploy", "rollback", "status", "plan", "setup", "history"), "fab")}


class _Parser(argparse.ArgumentParser):
    """argparse, its complaints as a UsageError with a guess at what was meant."""

    def error(self, message: str) -> NoReturn:
        command = re.match(r"argument COMMAND: invalid choice: '(.*?)' \(", message)
        if command:
            raise _unknown_command(command[1])
        option = re.match(r"unrecognized arguments: (--?[\w-]+)", message)
        if option:
            raise UsageError(f"unknown option {option[1]}{_guess(option[1], self.options())}",
                             f"known: {', '.join(self.options())}; try: {self.prog} --help")
        raise UsageError(f"{self.prog}: {message}", f"try: {self.prog} --help")

    def options(self) -> list[str]:
        """The long options of this command and of those below it."""
        below = [parser for action in self._actions if isinstance(action, argparse._SubParsersAction)
                 for parser in action.choices.values()]
        own = [each for action in self._actions for each in action.option_strings if each.startswith("--")]
        return sorted({*own, *(each for parser in below for each in parser.options())})


def _unknown_command(word: str) -> UsageError:
    if word in _ELSEWHERE:
        front = _ELSEWHERE[word]
        return UsageError(f"{word} is a task of {front}", f"{front} {word} --help, in the project's root")
    return UsageError(f"unknown command {word!r}{_guess(word, ['new'])}", "known: new; try: weft --help")


def _guess(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, 1, 0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def parser() -> argparse.ArgumentParser:
    """The words of `weft`."""
    form = argparse.RawDescriptionHelpFormatter
    top = _Parser(prog="weft", description=weft.__doc__, epilog=_EXAMPLE, formatter_class=form, allow_abbrev=False)
    top.add_argument("--version", action="version", version=f"weft {weft.__version__}")
    commands = top.add_subparsers(metavar="COMMAND", dest="command")
    new = commands.add_parser("new", help="write a project: an application with tests, tasks, entry, settings, environment",
                              description="Write a project that can be tested, released and deployed as it is.",
                              epilog="example:\n  weft new hello --dir ~/src/hello\n", formatter_class=form, allow_abbrev=False)
    new.add_argument("name", metavar="NAME", help="the application's name: lower-case letters, digits, '-' and '_'")
    new.add_argument("--dir", metavar="D", default="", help="where to; absent or empty (default: ./NAME)")
    new.add_argument("--no-git", action="store_true", help="no repository and no first commit")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code; SystemExit carries it for errors, --help and --version."""
    with shell.translated(), shell.terminable():
        words = parser().parse_args(argv)
        if words.command is None:
            parser().print_help(sys.stderr)
            return UsageError.code
        return _new(words)


def _new(words: argparse.Namespace) -> int:
    from weft.new.project import create
    written = create(words.name, Path(words.dir or words.name).expanduser(), git=not words.no_git)
    print("\n".join(_next_moves(written.name, _shown(written.place), written.commit, written.stranger)))
    return 0


def _shown(place: Path) -> str:
    near = os.path.relpath(place)
    return str(place) if near.startswith("..") else near


def _next_moves(name: str, place: str, commit: str, stranger: bool) -> list[str]:
    git = f"first commit {commit} on main" if commit else "without a repository: `inv release` wants one"
    said = [f"{name} is written to {place}/ ({git})", "", "next:"]
    if place != ".":
        said.append(f"  cd {place}")
    if stranger:
        said.append('  git config user.name "Your Name"; git config user.email you@example.org'
                    "   (git knows no author here; the first commit is by `weft new`)")
    return [*said,
            "  inv test                        run its tests",
            "  inv release --version 0.1.0     test, build, tag, publish into artifacts/",
            "  fab setup                       once: a private Apache below .weft/local, without root",
            "  fab deploy --version 0.1.0      then see http://localhost:8080/"]
