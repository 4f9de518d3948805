"""`fab report`: one rollout as one HTML file without external resources, from its record. Pure but for `write`."""

from __future__ import annotations

import time
from html import escape
from pathlib import Path
from typing import Any, Iterable, Sequence

from weft import durable
from weft.errors import Refused
from weft.rollout.show import VERBS
from weft.rollout.tables import OUTCOMES

MARK = "<!-- Written by weft: fab report writes it again. -->"
STYLE = """
:root{color-scheme:light dark;--back:#fff;--text:#1b1f24;--soft:#59636e;--line:#d1d9e0;--look:#8c959f;--stage:#0969da;--switch:#8250df;--confirm:#1a7f37;--back-bar:#bc4c00;--bad:#cf222e}
@media(prefers-color-scheme:dark){:root{--back:#0d1117;--text:#f0f6fc;--soft:#9198a1;--line:#3d444d;--look:#7d8590;--stage:#4493f8;--switch:#ab7df8;--confirm:#3fb950;--back-bar:#db6d28;--bad:#f85149}}
body{background:var(--back);color:var(--text);font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}th,td{border-bottom:1px solid var(--line);padding:.3rem .6rem;text-align:left;vertical-align:top}
svg{width:100%;height:auto}svg text{fill:var(--text);font:13px system-ui,sans-serif}.soft,svg .soft{color:var(--soft);fill:var(--soft)}.bad{color:var(--bad)}
.look{fill:var(--look)}.stage{fill:var(--stage)}.switch{fill:var(--switch)}.confirm{fill:var(--confirm)}.revert{fill:var(--back-bar)}.failed{stroke:var(--bad);stroke-width:3}
.wave{stroke:var(--soft);stroke-dasharray:4 3}pre{overflow-x:auto;border-left:3px solid var(--bad);padding-left:1rem}.scroll{overflow-x:auto}
"""
KINDS = {"observe": "look", "stage": "stage", "activate": "switch", "rollback": "switch", "confirm": "confirm", "revert": "revert"}
LEFT, WIDTH, ROW, TOP = 140, 1000, 28, 46


def write(path: Path, text: str) -> None:
    """Raises Refused where something lies there that `fab report` did not write, or it cannot be written."""
    try:
        if path.exists() or path.is_symlink():
            if path.is_symlink() or not path.is_file() or MARK not in path.read_text(encoding="utf-8", errors="replace")[:200]:
                raise Refused(f"{path} is there, and fab report did not write it", "name another file: fab report --to PATH")
        durable.write(path, text)
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}", "name another file: fab report --to PATH") from None


def bars(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each host did, from when to when: host, verb, begin, end, failed. One that never ended ends with the record."""
    found: list[dict[str, Any]] = []
    running: dict[str, dict[str, Any]] = {}
    for said in lines:
        if said.get("kind") != "host":
            continue
        name = str(said.get("host", ""))
        if said.get("event") == "phase":
            running[name] = {"host": name, "verb": str(said.get("verb", "")), "begin": said["at"], "end": lines[-1]["at"], "failed": False}
            found.append(running[name])
        elif said.get("event") == "end" and name in running:
            running.pop(name).update(end=said["at"], failed=bool(said.get("failed")))
    return found


def page(lines: Sequence[dict[str, Any]]) -> str:
    """The whole file; every text of the record is escaped."""
    first, end = lines[0], lines[-1] if lines[-1].get("kind") == "end" else {}
    hosts, title = end.get("hosts", {}), f"{first.get('verb', 'rollout')} of {first.get('app', '')} {first.get('version', '')} to {first.get('env', '')}"
    result = "it did not come to its end" if not end else "done" if not end.get("code") else f"ended with {end['code']}: {end.get('message', '')}"
    parts = [f"<!doctype html>\n{MARK}\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">",
             f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main>", f"<h1>{escape(title)}</h1>",
             f"<p>{_when(first.get('at', 0))}, by {escape(str(first.get('by', '')))}, {lines[-1]['at'] - first['at']:.1f} s: "
             f"<strong{' class=bad' if end.get('code', 1) else ''}>{escape(result)}</strong></p>",
             "<h2>Hosts and waves</h2>", drawing(lines, bars(lines)), "<h2>Each host</h2>", table(hosts), "<h2>The same as a table</h2>", timeline(lines, bars(lines)),
             *failures(hosts), "</main></body></html>\n"]
    return "\n".join(parts)


def drawing(lines: Sequence[dict[str, Any]], found: Sequence[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(each["host"] for each in found))
    begin, span = lines[0]["at"], max(lines[-1]["at"] - lines[0]["at"], 0.001)
    height = TOP + ROW * len(names) + 10
    def x(at: float) -> float:
        return round(LEFT + (at - begin) / span * (WIDTH - LEFT - 10), 1)
    out = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="drawn"><title id="drawn">What each host did when; the table below says the same</title>']
    for n, (at, text) in enumerate(waves(lines)):
        out.append(f'<line class="wave" x1="{x(at)}" x2="{x(at)}" y1="{18 + n % 2 * 14}" y2="{height}"/><text class="soft" x="{x(at) + 3}" y="{14 + n % 2 * 14}">{escape(text)}</text>')
    for row, name in enumerate(names):
        y = TOP + ROW * row
        out.append(f'<text x="0" y="{y + 15}">{escape(name[:18])}</text>')
        for each in (each for each in found if each["host"] == name):
            tip = f"{name}: {VERBS.get(each['verb'], each['verb'])}, {each['end'] - each['begin']:.2f} s{', failed' if each['failed'] else ''}"
            out.append(f'<rect class="{KINDS.get(each["verb"], "look")}{" failed" if each["failed"] else ""}" x="{x(each["begin"])}" y="{y}" '
                       f'width="{max(2.0, x(each["end"]) - x(each["begin"])):.1f}" height="20" rx="2"><title>{escape(tip)}</title></rect>')
    return "\n".join([*out, "</svg>"])


def waves(lines: Iterable[dict[str, Any]]) -> list[tuple[float, str]]:
    """When each wave began."""
    return [(each["at"], str(each["text"]).partition(":")[0]) for each in lines if each.get("kind") == "phase" and str(each.get("text", "")).startswith("wave ")]


def table(hosts: dict[str, Any]) -> str:
    rows = []
    for name, said in hosts.items():
        seen = said.get("seen") or {}
        took = seen.get("ms") or {}
        rows.append([name, OUTCOMES.get(said.get("status", ""), str(said.get("status"))), said.get("was", ""), said.get("serves", ""), f"{said.get('switch_ms', 0):.0f} ms",
                     _rate(seen.get("before")), _rate(seen.get("after")), f"{took['median']} ms, at most {took['most']} ms" if took else "", f"{said.get('seconds', 0)} s"])
    return _table(["host", "result", "was", "serves", "switch", "errors before", "errors after", "latency after", "time"], rows)


def _rate(seen: Any) -> str:
    """Of users' requests."""
    if not seen or not seen.get("requests"):
        return "no requests"
    return f"{100 * seen['errors'] / seen['requests']:.2f} % of {seen['requests']}"


def timeline(lines: Sequence[dict[str, Any]], found: Sequence[dict[str, Any]]) -> str:
    begin = lines[0]["at"]
    rows = [(at, ["", text, f"{at - begin:.2f} s", "", ""]) for at, text in waves(lines)]
    rows += [(each["begin"], [each["host"], VERBS.get(each["verb"], each["verb"]), f"{each['begin'] - begin:.2f} s", f"{each['end'] - each['begin']:.2f} s",
                              "failed" if each["failed"] else ""]) for each in found]
    return _table(["host", "what", "from", "for", "result"], [row for _, row in sorted(rows, key=lambda each: each[0])])


def failures(hosts: dict[str, Any]) -> list[str]:
    out = [f"<h3>{escape(name)}</h3><p>{escape(said['error'])}</p>" + (f"<pre>{escape(chr(10).join(map(str, said.get('lines', []))))}</pre>" if said.get("lines") else "")
           for name, said in hosts.items() if said.get("error")]
    return ["<h2>What failed</h2>", *out] if out else []


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    body = "\n".join("<tr>" + "".join(f"<{'th scope=row' if not n else 'td'}>{escape(str(cell))}</{'th' if not n else 'td'}>" for n, cell in enumerate(row)) + "</tr>" for row in rows)
    return f"<div class=scroll><table><thead><tr>{''.join(f'<th scope=col>{escape(head)}</th>' for head in heads)}</tr></thead><tbody>\n{body}\n</tbody></table></div>"


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
