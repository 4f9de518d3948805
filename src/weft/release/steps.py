"""What each kind of step does. `RUN[kind](work, **step.args)`; the plan's args say everything that was shown."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable, Sequence

from weft.config.load import read_toml
from weft.errors import Refused
from weft.release import (again, build, chain, changelog, contents, lock, news, publish, run, scratch, sign, tools, upload,
                          vendor as vendoring, verify)
from weft.release.observe import Project
from weft.release.target import Target, targets, this_platform
from weft.release.vcs import WORDS, Remote
from weft.release.version import edited
from weft.values import Release


@dataclass
class Work:
    """What the steps hand on. place: the scratch directory.  note: what is noted there for a rerun.  tree: what is committed."""

    project: Project
    remote: Remote | None
    log: Callable[[str], None]
    warn: Callable[[str], None]
    place: Path | None = None
    note: scratch.Note | None = None
    locked: lock.Locked | None = None
    tree: contents.Tree | None = None
    split: vendoring.Split | None = None

    @property
    def clone(self) -> Path:
        return self.place / "clone"

    @property
    def source(self) -> Path:
        """The project inside the clone."""
        return self.clone / self.project.prefix

    @property
    def dist(self) -> Path:
        return self.place / "dist"

    @property
    def epoch(self) -> int:
        """The release commit's time, seconds since 1970."""
        return self.project.repo.time(self.note.commit, self.clone)

    def remember(self, **changes: str) -> None:
        self.note = replace(self.note, **changes)
        scratch.save(self.place, self.note)


def _scratch(work: Work, commit: str, tag: str, tag_id: str, branch: str, base: str, version: str = "",
             vendor: Sequence[str] = ()) -> None:
    """Noted for a rerun where it is a release; other uses of a clone have no version."""
    repo = work.project.repo
    work.place = scratch.create(repo.data)
    work.note = scratch.Note(version, commit, tag, tag_id, branch, base, vendor=vendor)
    if version:
        scratch.save(work.place, work.note)
    repo.clone(work.clone, commit, tag, tag_id, work.remote)
    for name in ("dist", "unpacked", "export", "empty"):
        (work.place / name).mkdir()


def _edit(work: Work, path: str, version: str) -> None:
    _rewrite(work.source / path, lambda text: edited(path, text, version))


def _date(work: Work, path: str, version: str, date: str) -> None:
    _rewrite(work.source / path, lambda text: changelog.dated(text, version, date))


def _news(work: Work, paths: Sequence[str], version: str, date: str) -> None:
    news.build(work.source, news.find(work.source), version, date, work.log)


def _rewrite(path: Path, change: Callable[[str], str]) -> None:
    """Line ends stay as they are."""
    with path.open(encoding="utf-8", newline="") as handle:
        text = handle.read()
    with path.open("w", encoding="utf-8", newline="") as handle:
        handle.write(change(text))


def _tag(work: Work, tag: str, version: str, message: str, paths: Sequence[str]) -> None:
    repo, commit = work.project.repo, work.note.commit
    if paths:
        inside = sorted({(work.project.prefix / path).as_posix() for path in paths})
        commit = repo.commit(work.clone, inside, f"Release {version}\n")
    tag_id = repo.tag(work.clone, tag, commit, message)
    work.remember(version=version, commit=commit, tag=tag, tag_id=tag_id)


def _exported(work: Work) -> Path:
    """The project in an export of the release commit."""
    export = work.place / "export"
    if not any(export.iterdir()):
        work.project.repo.export(work.clone, work.note.commit, export)
        work.tree = contents.of_tree(export / work.project.prefix)
    return export / work.project.prefix


def _test(work: Work, argv: Sequence[str]) -> None:
    test(_exported(work), argv, work.log)


def _hook(work: Work, phase: str, argv: Sequence[str], version: str, tag: str) -> None:
    """In the tests' tree around the tests, else in the clone. When nothing can be undone any more, a failure is a warning."""
    place = _exported(work) if phase.endswith("_test") else work.source
    env = run.environment({"WEFT_VERSION": version, "WEFT_TAG": tag, "WEFT_PHASE": phase})
    try:
        run.watch([sys.executable if argv[0] == "python" else argv[0], *argv[1:]], place, env, work.log)
    except run.CommandFailed as error:
        if phase not in ("after_push", "after_publish"):
            raise
        work.warn("\n".join([f"{phase}: {error}; the release went on", *error.tail]))


def test(source: Path, argv: Sequence[str], log: Callable[[str], None]) -> None:
    """The project's tests in `source`, whose code is found before an installed one. Raises CommandFailed."""
    home = str(Path(sys.executable).parent)
    paths = [str(source / "src"), str(source), os.environ.get("PYTHONPATH", "")]
    env = run.environment({"PATH": f"{home}{os.pathsep}{os.environ.get('PATH', '')}",
                           "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                           "GIT_CEILING_DIRECTORIES": str(source.parent)})
    tail = run.watch([sys.executable if argv[0] == "python" else argv[0], *argv[1:]], source, env, log)
    if "Ran 0 tests in" in "\n".join(tail):
        raise run.CommandFailed(argv, 5, tail)


def _build(work: Work, version: str) -> None:
    archive = build.make_sdist(work.source, work.dist, work.epoch, work.log)
    _as_committed(work, archive)
    wheel = build.make_wheel(archive, work.place / "unpacked", work.dist, work.epoch, work.log)
    build.check(archive, wheel, version, work.log, work.project.config["strict_metadata"])
    build.serves(wheel, targets(work.project.config))


def _as_committed(work: Work, archive: Path) -> None:
    """Raises Refused for a file in the sdist that is not the commit's."""
    repo, prefix = work.project.repo, work.project.prefix

    def ignored(paths: Sequence[str]) -> set[str]:
        inside = {(prefix / path).as_posix(): path for path in paths}
        return {inside[path] for path in repo.ignored(work.clone, list(inside)) if path in inside}
    _exported(work)
    told = read_toml(work.source / "pyproject.toml") if (work.source / "pyproject.toml").is_file() else {}
    contents.check(archive, work.tree, told, work.project.config["generated"], ignored)


def _rebuild(work: Work) -> None:
    place = work.place / "again"
    place.mkdir()
    again.compare(work.clone, work.project.prefix, place, _built(work), work.epoch, work.log)


def _compare(work: Work, version: str) -> None:
    upload.compare(work.project, version, _built(work))


def _upload(work: Work, version: str) -> None:
    upload.upload(work.project, version, work.log, work.warn)


def _built(work: Work) -> tuple[Path, Path]:
    return next(work.dist.glob("*.tar.gz")), next(work.dist.glob("*.whl"))


def requirements(project: Project, wheel: Path) -> dict[Target, list[str]]:
    """What the hosts need beside the application: its own metadata's words, with the extras of [tool.weft]; a target at a time."""
    return {each: build.requirements(wheel, each.environment, project.config["extras"]) for each in targets(project.config)}


def _lock(work: Work, pinned: bool, strict: bool = False, vendor: Sequence[str] = (vendoring.ALL,)) -> None:
    kept = work.source / "requirements.lock"
    text = kept.read_text(encoding="utf-8") if pinned and kept.is_file() else ""
    work.locked = lock.locked(requirements(work.project, _built(work)[1]), text, work.log, lock.Rules(files=True, strict=strict))
    work.split = vendoring.split(work.locked, vendor)
    for said in work.locked.yanked.values():
        work.warn(f"locked, but its index has yanked it: {said}")
    if work.split.warning:
        work.warn(work.split.warning)
    (work.place / "requirements.lock").write_text(work.locked.text, encoding="utf-8")
    (work.place / "wheelhouse").mkdir()
    for wheel in work.locked.wheels:
        shutil.copyfile(wheel, work.place / "wheelhouse" / wheel.name)


def _verify(work: Work, version: str) -> None:
    tried = [aim for aim in targets(work.project.config) if _verified(work, aim)]
    for aim in targets(work.project.config):
        if aim not in tried:
            work.warn(f"not installed and imported here: the wheels are for {aim}")


def _verified(work: Work, aim: Target) -> bool:
    """Whether this machine can try it; raises when what it tries fails."""
    config, python = work.project.config, tools.python(aim.python)
    if not python or aim.platform not in Target(aim.python, this_platform()).tags():
        return False
    wheel = _built(work)[1]
    inside = verify.install(python, work.place / f"venv-{aim.python}", work.place / "requirements.lock", work.place / "wheelhouse",
                            wheel, work.log)
    settings = work.source / config["settings"] if config["settings"] else None
    empty = work.place / "empty"
    verify.imports(inside, build.modules(wheel), config["callable"], settings, empty, work.log)
    if config["entry"]:
        verify.compiles(inside, work.source / config["entry"], empty, work.log)
    return True


def _stage(work: Work, version: str, tag: str) -> None:
    project, config = work.project, work.project.config
    archive, wheel = _built(work)
    named = {kind: work.source / config[kind] for kind in ("entry", "settings") if config[kind]}
    wheels = sorted((work.place / "wheelhouse").iterdir())
    named["sbom"] = chain.bill(work.place, project, version, work.note.commit, work.epoch, wheel, wheels)
    outside = [path for path in wheels if path.name in {each.name for each in work.split.outside}]
    found = publish.files([("sdist", archive), ("wheel", wheel)], [path for path in wheels if path not in outside], tools.installer(work.log), work.place / "requirements.lock", named)
    parts = publish.Parts([each.python for each in targets(config)], work.locked.pythons, outside)
    release = publish.manifest(project.app, version, work.note.commit, tag, work.epoch, parts,
                               config["callable"], _entry(work, version), found, chain.builders(wheel), chain.tar_digest(archive), config["rollback_safe"])
    signature = sign.signing(project.root, config).manifest(release)
    place = project.store.staging(project.app, version)
    work.remember(version=version, staged=str(place))
    project.store.stage(place, release, {name: path for name, (_, path) in found.items()}, signature)


def _entry(work: Work, version: str) -> str:
    """The changelog's section, as the release commit has it."""
    told = news.find(work.source)
    name = changelog.find(work.source, work.project.config["changelog"] or (told.filename if told else ""))
    section = changelog.section_for((work.source / name).read_text(encoding="utf-8"), version) if name else None
    return section.body if section else ""


def _push(work: Work, tag: str) -> None:
    work.project.repo.send(work.clone, work.remote, tag, work.note.commit)


def _publish(work: Work, version: str) -> None:
    work.project.store.publish(Path(work.note.staged), work.project.app, version)


def _index(work: Work, version: str) -> None:
    chain.name_it(work.project, version)


def _forward(work: Work, tag: str) -> None:
    note = work.note
    left = work.project.repo.forward(work.clone, note.branch, note.base, note.commit, tag, note.tag_id)
    if left:
        again = WORDS[work.project.repo.name].catch_up
        work.warn(f"published, but your {note.branch} was not brought forward: {left}; {again} brings it")


def _readback(work: Work, version: str, tag: str) -> None:
    project = work.project
    release: Release = project.store.manifest(project.app, version)
    remote = project.repo.remote(work.remote.name, work.note.branch) if work.remote else None
    tags = project.repo.state().tags if remote is None or remote.error else remote.tags
    faults = project.store.verify(project.app, version)
    if tags.get(tag) != release.commit:
        faults.append(f"the tag {tag} is {tags.get(tag, 'not there')}, the manifest says {release.commit}")
    if faults:
        raise Refused("; ".join(faults))


RUN: dict[str, Callable[..., Any]] = {
    "scratch": _scratch, "edit": _edit, "date": _date, "news": _news, "tag": _tag, "test": _test, "hook": _hook, "build": _build, "rebuild": _rebuild,
    "compare": _compare, "upload": _upload, "lock": _lock,
    "verify": _verify, "stage": _stage, "push": _push, "publish": _publish, "index": _index, "forward": _forward, "readback": _readback}
