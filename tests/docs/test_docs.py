"""The pages hold what can be held: generated ones are up to date, links lead somewhere, commands exist, nothing is of one machine."""

import importlib.util
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOP = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG")]
PAGES = [*TOP, ROOT / "bench/README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# What only the machine that a page was written on has; spelled so that this file passes its own test.
OF_A_MACHINE = [r"/wor" + r"k\b", r"/tm" + r"p/(?!\.\.\.|weft-demo)", r"/roo" + r"t/(?!rule)", r"\.pyen" + "v", r"/op" + r"t/(wheels|pypi)", r"file:///(?!path|absolute)"]


def name(page):
    return str(page.relative_to(ROOT))


def prose(page):
    """Without code: fenced blocks and spans hold examples, not links."""
    text = re.sub(r"^(```|~~~).*?^\1", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    return re.sub(r"`[^`\n]*`", "", text)


def links(page):
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)) if not re.match(r"[a-z]+:", target)]


def anchors(page):
    """The anchors of a page's headings, as forges make them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", head.replace("`", "").lower()).replace(" ", "-") for head in heads}


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_up_to_date(generate):
    stale = [name(path) for path, text in generate.pages().items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    assert stale == [], f"run: {Path(sys.executable).name} docs/generate.py"


def test_every_key_stands_in_the_reference_with_its_default(generate):
    from weft.config.keys import ENVIRONMENT, HOST, PROJECT
    text = (ROOT / "docs/reference/configuration.md").read_text(encoding="utf-8")
    assert [key.name for key in (*PROJECT, *ENVIRONMENT, *HOST) if f"| `{key.name}` |" not in text] == []
    assert '| `rollout.waves` | list of numbers and percentages | `[1, "10%", "50%", "100%"]` |' in text


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    broken = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or anchor and anchor not in anchors(target):
            broken.append(link)
    assert broken == []


def test_every_page_of_docs_is_reached_from_the_readme():
    seen, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page not in seen and page.suffix == ".md":
            seen.add(page)
            todo += [(page.parent / link.partition("#")[0]).resolve() for link in links(page) if link.partition("#")[0]]
    assert [name(page) for page in PAGES if (ROOT / "docs") in page.parents and page not in seen] == []


@cache
def tasks(front):
    done = subprocess.run([str(Path(sys.executable).parent / front), "--list", "--list-format=json"], cwd=ROOT, capture_output=True, text=True, check=True)
    return {task["name"] for task in json.loads(done.stdout)["tasks"]}


def typed(page):
    """(front door, task) of every command after a prompt in a block, or at the beginning of an indented line."""
    text = page.read_text(encoding="utf-8")
    lines = re.findall(r"^(?:\$ |    (?=inv |fab |weft ))(.+)$", text, re.M)
    return [found for line in lines for found in re.findall(r"(?:^|&& |; )(inv|fab|weft) (\S+)", line)]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_exists(page):
    known = {"inv": tasks("inv"), "fab": tasks("fab"), "weft": {"new"}}
    assert [f"{front} {task}" for front, task in typed(page) if not task.startswith("-") and task not in known[front]] == []


def test_the_readme_shows_every_step_of_a_first_deploy():
    assert {("weft", "new"), ("inv", "release"), ("fab", "setup"), ("fab", "deploy"), ("fab", "rollback")} <= set(typed(ROOT / "README.md"))


def test_make_knows_what_the_pages_say():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    said = {word for page in PAGES for word in re.findall(r"(?:`|^    )make (?:[A-Z]+=\S+ )?([a-z]+)", page.read_text(encoding="utf-8"), re.M)}
    assert said >= {"demo", "test"} and said <= targets


@pytest.mark.parametrize("page", [*PAGES, ROOT / "docs/flow.svg"], ids=name)
def test_no_page_holds_a_path_of_a_machine(page):
    text = page.read_text(encoding="utf-8")
    assert [found[0] for pattern in OF_A_MACHINE for found in re.finditer(pattern + ".*", text)] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_fences_are_closed(page):
    assert len(re.findall(r"^```", page.read_text(encoding="utf-8"), re.M)) % 2 == 0


def test_the_changelog_has_something_for_the_next_release_or_is_released():
    from weft.release import changelog
    first = changelog.sections((ROOT / "CHANGELOG").read_text(encoding="utf-8"))[0]
    assert not changelog.empty(first)
