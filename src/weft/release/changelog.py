"""The changelog's section for a version: found, read, dated. Markdown headings and underlined (reStructuredText) ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

NAMES = ("CHANGELOG", "CHANGELOG.md", "CHANGELOG.rst", "CHANGELOG.txt", "CHANGES", "CHANGES.md", "CHANGES.rst",
         "CHANGES.txt", "HISTORY.md", "HISTORY.rst", "NEWS", "NEWS.md", "NEWS.rst", "docs/changelog.md",
         "docs/changelog.rst")
_TITLE = re.compile(r"(?:\d{4}-\d{2}-\d{2}\s*[-–—:,/]?\s+)?(?:[A-Za-z][\w.-]*[ ])?\[?v?(?P<label>\d+(?:\.\w+)*[\w.!+-]*|unreleased)\]?(?:\([^)]*\))?"
                    r"(?P<rest>(?:\s*[-–—:(,/\[].*|\s+\d.*|\s*))$", re.I)
_MARKDOWN = re.compile(r"(?P<level>#{1,4})[ \t]+(?P<title>.+?)[ \t]*#*$")
_UNDERLINE = re.compile(r"([!-/:-@[-`{-~])\1{2,}\s*$")
_FENCE = re.compile(r" {0,3}```")
_PLACEHOLDER = re.compile(r"[-*+]?\s*(nothing|no changes?)( changed)?( yet)?\.?", re.I)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_PENDING = re.compile(r"unreleased|not released yet|tbd|to be released", re.I)


@dataclass(frozen=True)
class Section:
    """A version's heading and text. at: index of the heading's line; end: of the line after its text.

    underline: index of the line of === below an underlined heading, -1 for Markdown.
    """

    label: str
    rest: str
    at: int
    underline: int
    end: int
    body: str

    @property
    def unreleased(self) -> bool:
        return self.label.lower() == "unreleased"


def find(root: Path, named: str = "") -> str:
    """The changelog's path relative to the project; "" when there is none."""
    return next((name for name in ([named] if named else NAMES) if (root / name).is_file()), "")


def sections(text: str) -> list[Section]:
    """The sections in the file's order, each up to the next heading that names a version."""
    lines = text.removeprefix("\ufeff").splitlines()
    heads = _heads(lines)
    ends = [head[0] for head in heads[1:]] + [len(lines)]
    return [Section(label, rest, at, underline, end, _body(lines[max(at, underline) + 1:end]))
            for (at, underline, label, rest, _), end in zip(heads, ends)]


def _heads(lines: list[str]) -> list[tuple[int, int, str, str, int]]:
    """The headings that begin a section: none inside a code block, and below a version only those of its own series (1.1, then 1.1.4)."""
    found: list[tuple[int, int, str, str, int]] = []
    fenced = False
    for at, line in enumerate(lines):
        if _FENCE.match(line):  # not one that underlines the title before it
            fenced = not fenced and not (_UNDERLINE.match(line) and at and 0 < len(lines[at - 1].strip()) <= len(line.rstrip()))
        head = None if fenced else _heading(lines, at)
        if head and not (found and head[4] > found[-1][4] > 0 and not head[2].startswith(f"{found[-1][2]}.")):
            found.append(head)
    return found


def _heading(lines: list[str], at: int) -> tuple[int, int, str, str, int] | None:
    line = lines[at]
    markdown = _MARKDOWN.match(line)
    underlined = not markdown and at + 1 < len(lines) and line.strip() and _UNDERLINE.match(lines[at + 1])
    if not (markdown or underlined):
        return None
    title = _TITLE.match(markdown["title"] if markdown else line.strip())
    return (at, at + 1 if underlined else -1, title["label"], title["rest"], len(markdown["level"]) if markdown else 0) if title else None


def _body(lines: list[str]) -> str:
    """The text without an overline of the next heading and without Markdown's link targets at the end."""
    kept = [line.rstrip() for line in lines if not re.match(r"\[[^\]]+\]:\s", line)]
    while kept and (not kept[-1] or (_UNDERLINE.fullmatch(kept[-1]) and not "".join(kept[-2:-1]))):
        kept.pop()
    return "\n".join(kept).strip("\n")


def empty(section: Section) -> bool:
    """Whether a section says nothing: headings, underlines, comments, lone bullets and "nothing changed yet" do not count."""
    text = re.sub(r"<!--.*?-->", "", section.body, flags=re.S)
    lines = [line.strip() for line in text.splitlines()]
    said = [line for at, line in enumerate(lines)
            if line and not line.startswith(("#", "..")) and line not in ("-", "*", "+")
            and not _PLACEHOLDER.fullmatch(line) and not _UNDERLINE.fullmatch(line) and not (at + 1 < len(lines) and _UNDERLINE.fullmatch(lines[at + 1]))]
    return not said


def section_for(text: str, version: str) -> Section | None:
    """The version's own section; for a pre-release else the pending one of the version it leads to; else the unreleased one."""
    found = sections(text)
    own = [each for each in found if each.label == version]
    final = re.match(r"[\d.!]+(?=a|b|rc|\.dev)", version)
    coming = [each for each in found if final and each.label == final[0].rstrip(".") and _pending(each)]
    return next(iter(own + coming + [each for each in found if each.unreleased]), None)


def _pending(section: Section) -> bool:
    """Whether a section waits for its release: it says so, or bears no date."""
    return bool(_PENDING.search(section.rest)) or not _DATE.search(section.rest)


def dated(text: str, version: str, date: str) -> str:
    """The text with the section for `version` under its own name and with its date, written as the section before is.

    A pre-release leaves the section of the version it leads to as it is.
    """
    section = section_for(text, version)
    if section is None or (not section.unreleased and not _PENDING.search(section.rest)):
        return text
    if not section.unreleased and section.label != version:
        return text
    lines = text.splitlines(keepends=True)
    old = lines[section.at].rstrip("\r\n")
    new = _renamed(old, section, version) if section.unreleased else old
    new = _PENDING.sub(date, new, 1) if _PENDING.search(new) else _with_date(new, text, section, date)
    lines[section.at] = lines[section.at].replace(old, new, 1)
    if section.underline >= 0:
        bars = [section.underline, section.at - 1] if section.at and lines[section.at - 1] == lines[section.underline] else [section.underline]
        for at in bars:
            bar = lines[at].rstrip("\r\n")
            lines[at] = lines[at].replace(bar, bar[0] * len(new), 1)
    return "".join(lines)


def _renamed(line: str, section: Section, version: str) -> str:
    return line.replace(section.label, version, 1)


def _with_date(line: str, text: str, section: Section, date: str) -> str:
    """A date as the other released sections have it; none when they have none."""
    if _DATE.search(line):
        return line
    others = [each.rest for each in sections(text) if not each.unreleased and each.at != section.at]
    style = others[0] if others else (" (0000-00-00)" if section.underline >= 0 else " - 0000-00-00")
    return line + _DATE.sub(date, style) if _DATE.search(style) else line
