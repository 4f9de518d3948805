"""Write the reference pages that follow from the code: `python docs/generate.py`, or `--check` to compare only.

docs/reference/configuration.md from weft.config.keys, exit-codes.md from weft.errors, commands.md from the real output of
`weft --help`, `inv --help TASK`, `fab --help TASK` and `weft-host COMMAND --help` in this repository, servers.md from servers.json, which the behaviour suite has written.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Iterable

from weft.config.keys import ENVIRONMENT, HOST, PROJECT, Key
from weft.adapters import known
from weft.errors import EXIT_CODES, FAMILY
from weft.host.request import FREE
from weft.host.words import COMMANDS
from weft.testing.server_behaviour import PROMISES

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "docs" / "reference"
MARK = "<!-- Written by docs/generate.py; change the code it is written from, then run it again. -->\n"
KINDS = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false", "list": "list of texts", "texts": "text or list of texts",
         "vectors": "list of argument vectors", "waves": "list of numbers and percentages", "share": "number or percentage", "table": "table", "tables": "tables"}


def pages() -> dict[Path, str]:
    """Every generated page and the text it must have."""
    return {PLACE / "configuration.md": configuration(), PLACE / "exit-codes.md": exit_codes(),
            PLACE / "commands.md": commands(), PLACE / "servers.md": servers()}


def configuration() -> str:
    return "\n".join([
        "# Configuration", "", MARK,
        "Two TOML files, read strictly: an unknown key, a value of another type and a file that is no TOML are refused with file and",
        "line, all faults at once. A key with a dot is a key in a table: `health.path` is `path` below `[health]`.", "",
        "## pyproject.toml: `[tool.weft]`", "",
        "What the application is and where its releases lie. Read by `inv` and `fab`.", "", *table(PROJECT), "",
        "Either `callable` or `entry` is needed.", "",
        "## deploy/NAME.toml: an environment", "",
        "Where a release is deployed; `--env NAME` picks the file, and with one file there it is the default. Read by `fab`.", "",
        *table(ENVIRONMENT), "",
        f"A deploy may choose {free()} anew each time. What else a host is told (`server`, `python`, `account`, `[site]`, `[workers]`) is",
        "changed there by `fab setup` only: a deploy with other values is refused. The remaining keys stay on the operator's machine.", "",
        "### `[[host]]`: a host of an environment", "",
        "For more than a name. Tables and the names in `hosts` may be mixed.", "", *table(HOST), "",
        "## The application's own settings", "",
        "They are ini, not TOML: see [settings and drop-ins](../how-to/settings-and-drop-ins.md).", ""])


def table(keys: Iterable[Key]) -> list[str]:
    rows = [f"| `{key.name}` | {kind(key)} | {default(key)} | {cell(key.doc)} |" for key in keys]
    return ["| key | type | default | meaning |", "|---|---|---|---|", *rows]


def kind(key: Key) -> str:
    if key.choices:
        return " or ".join(f"`{each}`" for each in key.choices)
    return "two port numbers" if key.name == "site.doors" else KINDS[key.kind]


def default(key: Key) -> str:
    if key.default is None and key.kind != "table":
        return ""
    if key.default in ("", None, (), 0) and key.kind != "int" or key.default == 0 and "Default:" in key.doc:
        return ""
    return f"`{json.dumps(_waves(key), ensure_ascii=False)}`"


def _waves(key: Key) -> Any:
    """As one would write it: plain numbers without quotes."""
    if key.kind == "share":
        return int(key.default) if key.default.isdigit() else key.default
    return [int(each) if each.isdigit() else each for each in key.default] if key.kind == "waves" else key.default


def free() -> str:
    """The keys of an environment that are not bound to what a host was set up with."""
    names = [f"`{key.name}`" for key in ENVIRONMENT if key.name.split(".")[0 if key.name.startswith("health") else -1] in FREE]
    return ", ".join(names[:-1]) + f" and {names[-1]}"


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def exit_codes() -> str:
    names: dict[int, str] = {kind.code: kind.name for kind in FAMILY}
    rows = [f"| {code} | {_name(names, code)} | {said} |" for code, said in EXIT_CODES.items()]
    kinds = [f"| `{kind.name}` | {kind.code} | {(kind.__doc__ or '').splitlines()[0]} |" for kind in FAMILY]
    return "\n".join([
        "# Exit codes", "", MARK,
        "The same for `inv`, `fab`, `weft` and the engine on a host.", "",
        "| code | error | meaning |", "|---|---|---|", *rows, "",
        "Words that Invoke or Fabric themselves do not understand (an unknown option or task) end with *their* exit code, which is 1.", "",
        "## What an error says", "",
        "On standard error: what happened, then `now:` what is served or changed at this moment, then `next:` the next move, a command",
        "where there is one. With `--json` the last line of standard output is one object:", "",
        "| key | meaning |", "|---|---|",
        "| `code` | the exit code |",
        "| `error` | the kind, one of those below, or `error` for a bug; absent where the code is 0 |",
        "| `message`, `effect`, `next` | the three lines above |",
        "| `details` | where there is more: each host's outcome, a failing command's last lines |", "",
        "| kind | code | meaning |", "|---|---|---|", *kinds, ""])


def _name(names: dict[int, str], code: int) -> str:
    return f"`{names[code]}`" if code in names else "`interrupted`" if code == 143 else "`error`" if code == 1 else ""


def commands() -> str:
    """The real output of every --help, asked for side by side."""
    asked = [("weft", "--help"), ("weft", "new", "--help"), *(("inv", "--help", task) for task in tasks("inv")),
             *(("fab", "--help", task) for task in tasks("fab")),
             ("weft-host", "--help"), *(("weft-host", each.name, "--help") for each in COMMANDS)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(said, asked))
    lines = ["# Commands", "", MARK,
             "`inv` is typed by the developer who releases, `fab` by the operator who deploys, both in the project's root or below; `weft-host` by root on a host.",
             "Every task takes `--json`, but `inv test` and `inv develop`; it prints one object and nothing else on standard output. Progress goes to",
             "standard error for `inv`, and is left out with `--json` for `fab`.", ""]
    for words, answer in zip(asked, answers):
        title = " ".join(word for word in words if word != "--help")
        lines += [f"## {title}", "", "```text", answer.strip(), "```", ""]
    return "\n".join(lines)


def servers() -> str:
    """A row a promise, a column a server; what the suite has recorded and nothing else."""
    seen = json.loads((PLACE / "servers.json").read_text())
    names = sorted({*seen, *known()})
    rows = [f"| {text} | {' | '.join(promise(seen.get(name, {}).get(key)) for name in names)} |" for key, text in PROMISES.items()]
    return "\n".join([
        "# Servers and promises", "", MARK,
        "What `weft.testing.server_behaviour` has seen of each server: the suite that holds every one of them to the same promises, on the real server, with one application and a neighbour.",
        "One run of each, on a machine of two cores (Debian 12) with other work beside it: the figures say that nothing was lost, and not how quick a server is. `express`, `passenger` and `uwsgi` ran",
        "privately under a directory; `gunicorn` is the server that [a how-to](../how-to/add-a-server.md) adds. `mod_wsgi` ran on a whole host: Debian's Apache, as root, an account for",
        "each application. Debian's Emperor and Debian's Apache with Passenger have system tests of their own (`tests/system`).", "",
        f"| promise | {' | '.join(f'`{name}`' for name in names)} |", "|---" * (len(names) + 1) + "|", *rows, "",
        "The load: 60 requests a second from four clients, half of them on kept connections, one in five a POST of 100 kB that the application does not read, and two clients more that",
        "always have a request of 3 s in flight. Failed is whatever is not a whole 2xx answer, mixed an answer of two releases. To measure anew:", "",
        "```text", "WEFT_SERVERS_RECORD=docs/reference/servers.json .venv/bin/python -m pytest -q tests/servers/test_behaviour.py tests/servers/test_add_a_server.py tests/system/test_servers.py",
        ".venv/bin/python docs/generate.py", "```", ""])


def promise(said: dict[str, Any] | None) -> str:
    """A cell: the figures, or why not."""
    if said is None:
        return "not measured yet"
    if "cannot" in said:
        return f"no: {cell(said['cannot'])}"
    if "requests" in said:
        flip = f", switched in {said['switch_ms']} ms" if "switch_ms" in said else ""
        return f"{said['failed']} of {said['requests']} failed, {said['mixed']} mixed; worst {said['worst_ms']:.0f} ms, {said['slow']} slow ones at most {said['slow_worst_s']} s{flip}"
    if "links" in said:
        return f"yes; enabled and answering after {said['enabled_s']} s" if said["links"] else "no: no link enables a site; `fab undeploy` takes it off"
    return ", ".join(f"{number} {name}" for name, number in said.items()) or "yes"


def tasks(front: str) -> list[str]:
    """The names of a front door's tasks, as it lists them."""
    listed = json.loads(said((front, "--list", "--list-format=json")))
    return sorted(task["name"] for task in listed["tasks"])


def said(words: tuple[str, ...]) -> str:
    """Standard output of a console script of this environment, in this repository, 80 columns wide."""
    program = [sys.executable, "-m", "weft.host"] if words[0] == "weft-host" else [str(Path(sys.executable).parent / words[0])]
    env = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([*program, *words[1:]], cwd=ROOT, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {done.returncode}: {done.stderr}")
    return "\n".join(line.rstrip() for line in done.stdout.splitlines())


def main() -> int:
    """0, or 1 with --check when a page is not up to date."""
    stale = {path: text for path, text in pages().items() if not path.exists() or path.read_text(encoding="utf-8") != text}
    for path, text in stale.items():
        print(f"{'stale' if '--check' in sys.argv else 'wrote'}: {path.relative_to(ROOT)}")
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
