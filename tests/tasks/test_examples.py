"""Every task's help has an example, and Invoke's own parser takes it for that task and nothing else."""

import re
import shlex

import pytest
from invoke import Collection, Task
from invoke.parser import Parser

from weft.tasks import deploy, release

TASKS = [(program, ns, task) for program, ns in (("fab", deploy.ns), ("inv", release.ns)) for task in ns.tasks.values()]


def example(task: Task, program: str) -> list[str]:
    found = re.search(rf": ({program} {task.name}\b.*)", task.__doc__)
    assert found, f"{program} --help {task.name} shows no example"
    return shlex.split(found[1])


@pytest.mark.parametrize("program, ns, task", TASKS, ids=[f"{program} {task.name}" for program, _ns, task in TASKS])
def test_help_shows_an_example_that_is_understood(program, ns: Collection, task):
    words = example(task, program)
    parsed = Parser(contexts=ns.to_contexts()).parse_argv(words[1:])
    assert [context.name for context in parsed] == [task.name] and not parsed.unparsed
    for word in words[2:]:
        if word.startswith("--"):
            assert parsed[0].args[word.lstrip("-")].value not in ("", None, False), word


@pytest.mark.parametrize("program, ns, task", TASKS, ids=[f"{program} {task.name}" for program, _ns, task in TASKS])
def test_no_word_is_converted_by_invoke(program, ns, task):
    """A word that is no number would end in its traceback, with 1; what a task converts by itself is refused in a line, with 2."""
    assert {argument.kind for argument in task.get_arguments()} <= {str, bool}
