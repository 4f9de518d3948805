"""`--abort`: take back a release that was not pushed. What is really on the remote decides, a note only says what to ask for."""

from __future__ import annotations

from weft.errors import OutcomeUnknown, Refused
from weft.release import lockfile, run, scratch
from weft.release.observe import Project, is_sent


def abort(project: Project) -> list[str]:
    """Remove what unpushed releases left: scratch and staged files. The versions whose release was begun, "" for one
    that had come to no version yet.

    Raises Refused for one that is pushed, OutcomeUnknown when that cannot be told; nothing is removed then.
    """
    data = project.repo.data
    if not any(data.glob("scratch-*")):
        return []
    with lockfile.held(data):
        settle(project)
        left = scratch.notes(data)
        _not_pushed(project, list(left.values()))
        found = [left[path].version if path in left else "" for path in sorted(data.glob("scratch-*"))]
        scratch.sweep(data, project.store)
        return found


def settle(project: Project) -> None:
    """After a run that was killed: what is half-written by it, be it the tag, is not there. Only under the release lock. Raises Refused."""
    try:
        if any(project.repo.data.glob("scratch-*")):
            project.repo.settle(project.config["remote"] or project.repo.usual)
    except run.CommandFailed as error:
        raise Refused(f"{error}: {' '.join(error.tail)}") from None


def _not_pushed(project: Project, notes: list[scratch.Note]) -> None:
    if not notes:
        return
    try:
        state = project.repo.state()
        remote = project.repo.remote(project.config["remote"] or project.repo.usual, notes[0].branch)
    except run.CommandFailed as error:
        raise Refused(f"{error}: {' '.join(error.tail)}") from None
    if remote and remote.error:
        raise OutcomeUnknown(f"whether {notes[0].version} was pushed is not known: {remote.name} gave no answer: {remote.error}",
                             "inv release --abort, when it can be reached", "nothing was removed")
    where = f"on {remote.name}" if remote else "in your repository"
    for note in notes:
        if is_sent(project.repo, state, remote, note):
            what = f"{remote.branch} {where} has its commit" if remote and note.tag not in remote.tags else f"the tag {note.tag} {where} is this release"
            raise Refused(f"{note.version} is past its point of no return: {what}", f"inv release --version {note.version} finishes it")
