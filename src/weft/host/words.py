"""The words of an operator on the machine itself: `weft-host install APP PLACE` and the like, parsed. Nothing here acts.

Imported only where there are words: a request on standard input is answered without argparse.
"""

from __future__ import annotations

import argparse
import difflib
import signal
import sys
import traceback
from typing import Any, Callable, NamedTuple, NoReturn, Sequence

from weft.errors import Interrupted, UsageError, WeftError
from weft.host.screen import Screen

_APP = ("app", {"metavar": "APP", "help": "the application's name"})
_YES = ("--yes", {"action": "store_true", "help": "keep it as soon as it was switched to and is well, without asking"})
_BAD = ("--force-bad", {"action": "store_true", "help": "a version all the same that is marked bad or went bad here"})
_YANKED = ("--force-yanked", {"action": "store_true", "help": "a version all the same that was taken back (inv yank)"})
_UNSAFE = ("--force-unsafe", {"action": "store_true", "help": "also from a release that is not rollback_safe"})
_JSON = ("--json", {"action": "store_true", "help": "one JSON object at the end, nothing else on standard output"})


class Command(NamedTuple):
    """takes: its arguments, as argparse has them."""

    name: str
    what: str
    example: str
    takes: tuple[tuple[str, dict[str, Any]], ...] = (_APP,)


COMMANDS = (
    Command("install", "bring a release from where it lies to this host, verified; what is served stays as it is",
            "weft-host install shop /srv/artifacts/shop/1.1.4",
            (_APP, ("place", {"metavar": "PLACE", "help": "a release's directory, its manifest.json, or its https:// address; "
                                                          "with --version also the store's or the application's"}),
             ("--version", {"metavar": "V", "default": "", "help": "the version that is wanted; another one is refused"}), _YANKED, _BAD)),
    Command("activate", "switch to what was installed; it goes back by itself if nobody confirms it", "weft-host activate shop 1.1.4",
            (_APP, ("version", {"metavar": "VERSION", "nargs": "?", "default": "", "help": "default: what was installed last"}), _YES)),
    Command("rollback", "go back to the release before, or to a version, from what this host still has", "weft-host rollback shop --yes",
            (_APP, ("--to", {"metavar": "V", "default": "", "help": "a version (default: the good one before)"}), _YES, _BAD, _UNSAFE)),
    Command("confirm", "keep what is on trial", "weft-host confirm shop"),
    Command("status", "what is served, what really answers, what this host can go back to", "weft-host status shop"),
    Command("history", "what was done here, newest first", "weft-host history shop"),
    Command("verify", "compare every installed file with what was sealed, and name what differs", "weft-host verify shop"),
    Command("recover", "what starts every command: go back from what nobody confirmed, remove what a crash left",
            "weft-host recover --all", (("app", {"metavar": "APP", "nargs": "?", "default": "", "help": "the application's name"}),
                                        ("--all", {"action": "store_true", "help": "every application of this host"}))),
    Command("keep-edit", "turn a hand edit of /etc/APP.ini into a drop-in", "weft-host keep-edit shop"),
    Command("pin", "keep a version here, whatever is deployed", "weft-host pin shop 1.1.3",
            (_APP, ("version", {"metavar": "VERSION", "help": "a version that this host has"}))),
    Command("unpin", "let a pinned version be pruned again", "weft-host unpin shop 1.1.3",
            (_APP, ("version", {"metavar": "VERSION", "help": "a pinned version"}))),
)
_END = """\
The machine itself is asked, as root; fab does the same for many hosts from elsewhere. `--prefix DIR` before the command
means a host in a directory. Without words it reads one request as JSON from standard input, as fab sends it.
Exit codes: 0 done, 2 your words, 3 refused and nothing changed, 4 undone, 6 not confirmed yet, 1 a bug, 130 interrupted.
"""


class Parser(argparse.ArgumentParser):
    """argparse, its complaints as a UsageError."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}", f"{self.prog} --help")


def parser() -> Parser:
    """With an example for each command."""
    examples = "examples:\n" + "".join(f"  {each.example}\n" for each in COMMANDS)
    top = Parser("weft-host", usage="weft-host [--prefix DIR] COMMAND APP ...", description="Carry releases to this machine and back, without SSH.",
                 epilog=f"{examples}\n{_END}", formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    below = top.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for each in COMMANDS:
        made = below.add_parser(each.name, help=each.what, description=f"{each.what[0].upper()}{each.what[1:]}.", epilog=f"example:\n  {each.example}",
                                formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, prog=f"weft-host {each.name}")
        for flag, said in (*each.takes, _JSON):
            made.add_argument(flag, **said)
    return top


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Raises UsageError naming what is not known, with a guess at what was meant; SystemExit for --help."""
    known = [each.name for each in COMMANDS]
    first = next((word for word in words if not word.startswith("-")), "")
    if first and first not in known:
        raise UsageError(f"unknown command {first!r}{_guess(first, known)}", f"known: {', '.join(known)}; weft-host --help")
    if not first and not {"-h", "--help"} & set(words):
        raise UsageError("which command?", f"known: {', '.join(known)}; weft-host --help")
    said, odd = parser().parse_known_args(list(words))
    if odd:
        takes = next((each.takes for each in COMMANDS if each.name == first), ())
        options = sorted([flag for flag, _ in (*takes, _JSON) if flag.startswith("--")])
        word = odd[0].partition("=")[0]
        raise UsageError(f"{word!r} is not understood{_guess(word, options)}", f"known: {', '.join(options)}; weft-host {first} --help")
    if said.command == "recover" and bool(said.app) == said.all:
        raise UsageError("recover what?", "weft-host recover APP, or weft-host recover --all")
    return said


def _guess(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, known, 1, 0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def run(words: Sequence[str], prefix: str, watchdog: Callable[[Any, int], None]) -> None:
    """Do what they say, and end with 0 or the error's code."""
    from weft.host import local
    screen = Screen("--json" in words)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stopped)
    try:
        said = vars(parse(words))
        command = said.pop("command").replace("-", "_")
        del said["json"]
        screen.end({"code": 0, **getattr(local, command)(local.Here(said.pop("app"), prefix, screen, watchdog), **said)})
    except WeftError as error:
        screen.fail(error)
        sys.exit(error.code)
    except Exception as error:
        screen.fail(WeftError(f"a bug in weft: {type(error).__name__}: {error}", "please report it, with the traceback",
                              details=traceback.format_exc().splitlines()))
        sys.exit(1)


def _stopped(number: int, _frame: Any) -> NoReturn:
    error = Interrupted(f"interrupted ({signal.Signals(number).name})", "weft-host status APP")
    error.code = 128 + number
    raise error

