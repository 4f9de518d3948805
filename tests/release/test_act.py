"""Of the acts of a release, one of each kind is enough."""

from tests.release import act


def line(event, way):
    return f"{event}  by release.pipeline.release:120 {way}"


ASK = "release.git.state:38 release.run.ask:51"
ACTS = [
    line("os.mkdir", "release.lockfile.opened:30"),
    line("subprocess.Popen", ASK),
    line("subprocess.Popen", "release.git.tags:40 release.run.ask:51"),
    line("open", "release.steps._scratch:67 durable.write:43"),
    line("os.chmod", "release.steps._scratch:67 durable.write:49"),
    line("os.rename", "release.steps._scratch:67 durable.write:54"),
    line("open", "release.steps._stage:71 stores.directory.stage:136"),
    line("open", "release.steps._stage:71 stores.directory.stage:136"),
    line("open", "release.steps._stage:71 stores.directory.stage:146"),
    line("subprocess.Popen", "release.steps._push:246 release.git.send:176 release.run.ask:51"),
    line("running push", "release.steps._push:246 release.git.send:176 release.run.ask:51"),
    line("os.rename", "release.steps._publish:250 durable.publish:93"),
    line("os.rename", "release.steps._publish:250 durable.write:54"),
    line("shutil.rmtree", "release.scratch.sweep:68"),
    *[line("os.remove", "release.scratch.sweep:68")] * 3,
    line("fcntl.flock", "release.lockfile.held:51")]


def test_where_every_line_counts():
    assert act.one_of_each(ACTS) == [0, 1, 5, 7, 8, 9, 10, 11, 12, 13, 17]


def test_where_only_some_lines_count_each_step_has_one_of_each_event():
    assert act.one_of_each(ACTS, ("release.git", "durable.publish")) == [0, 1, 5, 8, 9, 10, 11, 12, 13, 17]


def test_the_whole_sweep_takes_all_but_the_last_removals():
    assert act.parted(ACTS) == ([*range(14), 17], range(14, 17))


def test_a_step_is_named_by_its_function():
    assert [act.step(ACTS[at]) for at in (0, 3, 11)] == ["", "release.steps._scratch", "release.steps._publish"]
