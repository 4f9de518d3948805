"""The changelog's section for a version: found, read, dated. Markdown headings and underlined (reStructuredText) ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

NAMES = ("CHANGELOG", "CHANGELOG.md", "CHANGELOG.rst", "CHANGELOG.txt", "CHANGES", "CHANGES.md", "CHANGES.rst",
         "CHANGES.txt", "HISTORY.md", "HISTORY.rst", "NEWS", "NEWS.md", "NEWS.rst", "docs/changelog.md",
         "docs/changelog.rst")
_WAITS = r"unreleased(?: changes)?|next(?: release| version)?|upcoming(?: release| version| changes)?|(?:in|under) development"
_TITLE = re.compile(r"(?:[^\w\s\[]+[ ])?(?P<day>\d{4}-\d\d-\d\d(?:\s*[-–—,:/|]\s*|\s+))?(?:[A-Za-z][\w.-]*[ ]|what.?s new in (?:[A-Za-z][\w.-]*[ ])?)?"
                    rf"[*_`]{{0,2}}\[?v?(?P<label>\d+(?:\.\w+)*[\w.!+-]*|{_WAITS})\]?[*_`]{{0,2}}(?:\([^)]*\))?"
                    r"(?P<rest>(?:\s*[-–—:(,/|\[].*|\s+\d.*|\s*))$", re.I)
_MARKDOWN = re.compile(r" {0,3}(?:(?P<level>#{1,4})[ \t]+|(?P<tight>##{1,3}))(?P<title>[^#\s].*?)[ \t]*#*$")
_UNDERLINE = re.compile(r"([=\-~^*#+])\1{2,}\s*$|[=-]{2}\s*$|([!-/:-@\[-`{-~])\2{4,}\s*$")
_FENCE = re.compile(r" {0,3}```")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_PENDING = re.compile(r"\b(?:unreleased|not (?:yet )?released(?: yet)?|unpublished|tb[adr]|to be (?:released|announced|determined)|"
                      r"(?:in|under) (?:development|progress)|wip)\b|(?:\d{4}|[xy?]{4})-[xm?]{2}-[xd?]{2}", re.I)
_NOTHING = re.compile(r"(?:[-*+]\s*)?(?:nothing(?: has)?(?: changed| new)?(?: here)?(?: yet)?|no changes?(?: yet)?|none(?: yet)?|n/a|tb[ad])\.?", re.I)


@dataclass(frozen=True)
class Section:
    """A version's heading and text. at: index of the heading's line; end: of the line after its text.

    underline: index of the line of === below an underlined heading, -1 for Markdown.  day: whether a date stands before the version.
    """

    label: str
    rest: str
    at: int
    underline: int
    end: int
    body: str
    day: bool = False

    @property
    def unreleased(self) -> bool:
        return not self.label[:1].isdigit()

    def names(self, version: str) -> bool:
        """Whether the heading is that version's, in whichever spelling of PEP 440: 1.1.4-rc.1 is 1.1.4rc1."""
        from packaging.version import InvalidVersion, Version
        if self.unreleased or self.label == version:
            return self.label == version
        try:
            return str(Version(self.label)) == version
        except InvalidVersion:
            return False


def find(root: Path, named: str = "") -> str:
    """The changelog's path relative to the project; "" when there is none."""
    return next((name for name in ([named] if named else NAMES) if (root / name).is_file()), "")


def sections(text: str) -> list[Section]:
    """The sections in the file's order, each up to the next heading that names a version."""
    lines = text.removeprefix("\ufeff").splitlines()
    told = _told(lines)
    heads = _heads(told)
    if not heads and not any(_MARKDOWN.match(line) or _UNDERLINE.match(line) for line in told):
        heads = [head for at in range(len(lines)) if (head := _plain(told, at))]
    ends = [head[0] for head in heads[1:]] + [len(lines)]
    return [Section(title["label"], title["rest"], at, underline, end, _body(lines[max(at, underline) + 1:end]), bool(title["day"]))
            for (at, underline, title, _), end in zip(heads, ends)]


def _heads(lines: list[str]) -> list[tuple[int, int, re.Match, int]]:
    """The headings that begin a section: below a version's own only those of its series (1.1 or 1.x, then 1.1.4)."""
    found: list[tuple[int, int, re.Match, int]] = []
    for at in range(len(lines)):
        head = _heading(lines, at)
        if head and not (found and head[3] > found[-1][3] > 0 and not head[2]["label"].startswith(_series(found[-1][2]["label"]))):
            found.append(head)
    return found


def _series(label: str) -> str:
    """How the versions below that heading begin: 1.1. below 1.1, 1. below 1.x."""
    return re.sub(r"\.x$", "", label, flags=re.I) + "."


def _told(lines: list[str]) -> list[str]:
    """The lines, those of a Markdown code block emptied: what they show is no heading."""
    told, fence = [], False
    for at, line in enumerate(lines):
        mark = _FENCE.match(line) and (fence or not _underlines(lines, at))
        told.append("" if mark or fence else line)
        fence ^= bool(mark)
    return lines if fence else told


def _underlines(lines: list[str], at: int) -> bool:
    """Whether a line of backticks is reStructuredText's, below a heading, and opens no block."""
    title = lines[at - 1].rstrip() if at else ""
    return bool(title.strip()) and set(lines[at].strip()) == {"`"} and len(lines[at].rstrip()) >= len(title)


def _heading(lines: list[str], at: int) -> tuple[int, int, re.Match, int] | None:
    line = lines[at]
    markdown = _MARKDOWN.match(line)
    over = at > 0 and at + 1 < len(lines) and lines[at - 1].rstrip() == lines[at + 1].rstrip()
    underlined = not markdown and at + 1 < len(lines) and line.strip() and (over or line[0] != " ") and _UNDERLINE.match(lines[at + 1])
    if not (markdown or underlined):
        return None
    title = _TITLE.match(markdown["title"] if markdown else line.strip())
    level = len(markdown["level"] or markdown["tight"]) if markdown else 0
    return (at, at + 1 if underlined else -1, title, level) if title else None


def _plain(lines: list[str], at: int) -> tuple[int, int, re.Match, int] | None:
    """A line of a file without any markup that is a heading by what it says and where it stands."""
    title = _TITLE.match(lines[at].rstrip()) if not at or not lines[at - 1].strip() else None
    return (at, -1, title, 0) if title and lines[at][:1].strip() else None


def _body(lines: list[str]) -> str:
    """The text without an overline of the next heading and without Markdown's link targets at the end."""
    kept = [line.rstrip() for line in lines if not re.match(r"\[[^\]]+\]:\s", line)]
    while kept and (not kept[-1] or (_UNDERLINE.fullmatch(kept[-1]) and not "".join(kept[-2:-1]))):
        kept.pop()
    return "\n".join(kept).strip("\n")


def empty(section: Section) -> bool:
    """Whether a section says nothing: headings, underlines, comments and lone bullets do not count."""
    text = re.sub(r"<!--.*?-->", "", section.body, flags=re.S)
    lines = [line.strip() for line in text.splitlines()]
    said = [line for at, line in enumerate(lines)
            if line and not line.startswith(("#", "..")) and line not in ("-", "*", "+") and not _NOTHING.fullmatch(line)
            and not _UNDERLINE.fullmatch(line) and not (at + 1 < len(lines) and _UNDERLINE.fullmatch(lines[at + 1]))]
    return not said


def section_for(text: str, version: str) -> Section | None:
    """The version's own section; for a pre-release else the pending one of the version it leads to; else the unreleased one."""
    found = sections(text)
    own = [each for each in found if each.names(version)]
    final = re.match(r"[\d.!]+(?=a|b|rc|\.dev)", version)
    coming = [each for each in found if final and each.names(final[0].rstrip(".")) and _pending(each)]
    return next(iter(own + coming + [each for each in found if each.unreleased]), None)


def _pending(section: Section) -> bool:
    """Whether a section waits for its release: it says so, or bears no date."""
    return bool(_PENDING.search(section.rest)) or not (section.day or _DATE.search(section.rest))


def dated(text: str, version: str, date: str) -> str:
    """The text with the section for `version` under its own name and with its date, written as the section before is.

    A pre-release leaves the section of the version it leads to as it is.
    """
    section = section_for(text, version)
    if section is None or (not section.unreleased and not _PENDING.search(section.rest)):
        return text
    if not section.unreleased and not section.names(version):
        return text
    lines = text.splitlines(keepends=True)
    old = lines[section.at].rstrip("\r\n")
    new = _renamed(old, section, version) if section.unreleased else old
    new = _PENDING.sub(date, new, 1) if _PENDING.search(new) else _with_date(new, text, section, date)
    lines[section.at] = lines[section.at].replace(old, new, 1)
    if section.underline >= 0:
        _adorn(lines, section, len(new.lstrip("\ufeff")))
    return "".join(lines)


def _adorn(lines: list[str], section: Section, length: int) -> None:
    """The line below a heading, and the one above it where it has one, as long as the heading is now."""
    bar = lines[section.underline].rstrip("\r\n")
    over = section.at > 0 and lines[section.at - 1].rstrip("\r\n") == bar
    indented = over and lines[section.at].startswith(" ")
    for at in (section.underline, *([section.at - 1] if over else [])):
        lines[at] = lines[at].replace(bar, bar[0] * (length + indented), 1)


def _renamed(line: str, section: Section, version: str) -> str:
    """The version in the place of the word; not once more where it stood behind it, as in "Unreleased (1.1.4)"."""
    named = re.sub(rf"\s*(?:\(v?{re.escape(version)}\)|[-–—:]\s*v?{re.escape(version)}(?![\w.]))", "", line, count=1)
    return named.replace(section.label, version, 1)


def _with_date(line: str, text: str, section: Section, date: str) -> str:
    """A date as the other released sections have it; none when they have none."""
    if _DATE.search(line):
        return line
    others = [each.rest for each in sections(text) if not each.unreleased and each.at != section.at]
    style = others[0] if others else (" (0000-00-00)" if section.underline >= 0 else " - 0000-00-00")
    return line + _DATE.sub(date, style) if _DATE.search(style) else line
