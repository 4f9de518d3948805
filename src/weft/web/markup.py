"""HTML from templates: what goes into one is escaped, unless it came out of one."""

from __future__ import annotations

import html
import re
from string import Template
from typing import Any, Iterable


class Html(str):
    """Text that is markup already."""


def fill(template: str, **values: Any) -> Html:
    """A template's $names replaced, escaped unless they are Html."""
    return Html(Template(template).substitute({name: escape(value) for name, value in values.items()}))


def escape(value: Any) -> Html:
    return value if isinstance(value, Html) else Html(html.escape(str(value)))


def join(parts: Iterable[Any], between: str = "\n") -> Html:
    return Html(between.join(escape(part) for part in parts))


def changelog(text: str) -> Html:
    """A changelog's entry as markup: headings, lists and paragraphs of Markdown and reST; the rest is left as text."""
    blocks: list[tuple[str, list[str]]] = []
    for line in text.strip().splitlines():
        kind, content = _kind(line)
        if kind == "rule":
            _underlined(blocks)
        elif kind == "more" and blocks and blocks[-1][1]:
            blocks[-1][1][-1] += " " + content
        elif kind == "item" and blocks and blocks[-1][0] == "item":
            blocks[-1][1].append(content)
        else:
            blocks.append(("text" if kind == "more" else kind, [content] if content else []))
    return join(_block(kind, lines) for kind, lines in blocks if lines)


def _kind(line: str) -> tuple[str, str]:
    for kind, pattern in (("head", r"#{1,6}\s+(.*)"), ("item", r"\s*[-*+]\s+(.*)"), ("rule", r"([-=~^\"'])\1{2,}\s*"),
                          ("blank", r"\s*")):
        found = re.fullmatch(pattern, line)
        if found:
            return kind, found[1].strip() if kind in ("head", "item") else ""
    return "more", line.strip()


def _underlined(blocks: list[tuple[str, list[str]]]) -> None:
    """A line of dashes makes the paragraph before it a heading."""
    if blocks and blocks[-1][0] == "text":
        blocks[-1] = ("head", blocks[-1][1])


def _block(kind: str, lines: list[str]) -> Html:
    if kind == "item":
        return fill("<ul>$items</ul>", items=join((fill("<li>$text</li>", text=_inline(line)) for line in lines), ""))
    return fill("<h4>$text</h4>" if kind == "head" else "<p>$text</p>", text=_inline(" ".join(lines)))


def _inline(text: str) -> Html:
    """`code` and **strong**, after escaping."""
    safe = re.sub(r"(`+)(.+?)\1", r"<code>\2</code>", html.escape(text))
    return Html(re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", safe))
