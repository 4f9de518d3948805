"""Every disk that a power cut can leave, from what `tests.host.recorder` noted: the model, and what must hold on each of them.

A name in a directory is safe after an fsync of that directory, a file's bytes after an fsync of the file, everything after a
syncfs. What is not safe may be there or not, in any combination; bytes may be there in part. Nothing else is assumed of the file
system, so a disk that ext4 would not leave is tried as well.
"""

import base64
import itertools
import json
import os
import shutil
from pathlib import Path

NAMES = {"create", "rename", "symlink", "mkdir", "unlink", "rmdir"}
SYNCS = {"fsync", "fsyncdir", "syncfs"}
TREES = ("releases", "layers", "tools")
MOST = 64
"""Combinations tried at one moment where more are pending."""


class Base:
    """The disk before: a copy, whose trees are linked and never written."""

    def __init__(self, prefix, place):
        self.place = Path(place)
        for part in ("var/app/shop", "var/lib/weft/shop"):
            _copy(Path(prefix, part), self.place / part)
        shutil.rmtree(self.place / "var/app/shop/run", ignore_errors=True)
        self.entries, self.contents = {}, {}
        for folder, dirs, files in os.walk(self.place):
            relative = os.path.relpath(folder, self.place)
            for name in list(dirs):
                path = os.path.normpath(os.path.join(relative, name))
                if os.path.islink(os.path.join(folder, name)):
                    self.entries[path] = ("link", os.readlink(os.path.join(folder, name)))
                elif _is_tree(path):
                    self._tree(path)
                    dirs.remove(name)
                else:
                    self.entries[path] = ("dir",)
            for name in files:
                path, whole = os.path.normpath(os.path.join(relative, name)), os.path.join(folder, name)
                self.entries[path] = ("link", os.readlink(whole)) if os.path.islink(whole) else self._file(path, whole)

    def _file(self, path, whole):
        self.contents[path] = Path(whole).read_bytes()
        return ("file", path)

    def _tree(self, path):
        self.entries[path] = ("tree", path)
        self.contents[path] = ("tree", str(self.place / path))
        if (self.place / path / "SEAL").exists():
            self.entries[f"{path}/SEAL"] = self._file(f"{path}/SEAL", self.place / path / "SEAL")


def _copy(source, target):
    """Files copied, what lies in trees linked."""
    def one(a, b):
        return os.link(a, b) if any(f"/shop/{each}/" in a for each in TREES) else shutil.copy2(a, b)
    shutil.copytree(source, target, symlinks=True, copy_function=one)


def _is_tree(path):
    parts = path.split("/")
    return len(parts) == 5 and parts[3] in TREES


def read(paths):
    """The operations of several commands, one after the other; what a rename moved is written into it, and a file that an earlier one
    made keeps its number."""
    ops, at, ends = [], {}, []
    for path in paths:
        same = {}
        for line in Path(path).read_text().splitlines():
            op = json.loads(line)
            if "ino" in op:
                op["ino"] = same.get(op["ino"], f"{path}:{op['ino']}")
            if op["op"] == "known" and at.get(op["path"], ("",))[0] == "file":
                same[int(op["ino"].rpartition(":")[2])] = at[op["path"]][1]
                continue
            _follow(op, at)
            ops.append(op)
        ends.append(len(ops))
    return ops, ends


def _follow(op, at):
    """Keep what lies where, in order."""
    kind = op["op"]
    if kind in ("create", "known"):
        at[op["path"]] = ("file", op["ino"])
    elif kind == "symlink":
        at[op["path"]] = ("link", op["target"])
    elif kind == "mkdir":
        at[op["path"]] = ("tree", op["path"]) if _is_tree(op["path"]) else ("dir",)
    elif kind == "rename":
        op["node"] = at.pop(op["src"], None)
        at[op["dst"]] = op["node"]
    elif kind in ("unlink", "rmdir"):
        at.pop(op["path"], None)
    elif kind == "data":
        op["content"] = base64.b64decode(op["content"])


def where(op):
    return os.path.dirname(op["dst"] if op["op"] == "rename" else op["path"])


def settles(op, sync):
    """Whether a later sync makes an operation safe."""
    if sync["op"] == "syncfs":
        return True
    if op["op"] in NAMES:
        return sync["op"] == "fsyncdir" and sync["path"] == where(op)
    return op["op"] == "data" and sync["op"] == "fsync" and sync["ino"] == op["ino"]


def disks(base, ops, moment):
    """(entries, contents) of each disk that a cut after `moment` operations may leave."""
    done = ops[:moment]
    safe = [at for at, op in enumerate(done) if op["op"] == "known" or any(settles(op, sync) for sync in done[at + 1:])]
    loose = [at for at, op in enumerate(done) if at not in safe and op["op"] in NAMES | {"data", "tree", "gone"}]
    for chosen in _choices(loose, done):
        torn = {at for at, how in chosen.items() if how == "torn"}
        yield _apply(base, [(at, done[at]) for at in sorted({*safe, *(at for at, how in chosen.items() if how)})], torn)


def _choices(loose, done):
    """For each operation that is not safe: there, not there, or (bytes) there in part. All of them, or a spread of them."""
    options = [(True, False, "torn") if done[at]["op"] in ("data", "tree", "gone") else (True, False) for at in loose]
    total = 1
    for each in options:
        total *= len(each)
    if total <= MOST:
        for combination in itertools.product(*options):
            yield dict(zip(loose, combination))
        return
    for end in range(len(loose) + 1):  # in order, up to a point; then one missing; then one alone
        yield {at: number < end for number, at in enumerate(loose)}
    for odd in loose:
        for how in (False, "torn"):
            yield {at: how if at == odd else True for at in loose}
        yield {at: at == odd for at in loose}


def _apply(base, chosen, torn):
    entries, contents = dict(base.entries), dict(base.contents)
    for at, op in chosen:
        kind = op["op"]
        if kind == "known" and entries.get(op["path"], ("",))[0] == "file":
            contents[op["ino"]] = contents[entries[op["path"]][1]]
            entries[op["path"]] = ("file", op["ino"])
        elif kind == "create":
            entries[op["path"]] = ("file", op["ino"])
            contents.setdefault(op["ino"], b"")
        elif kind == "data":
            contents[op["ino"]] = _half(contents.get(op["ino"], b""), op["content"]) if at in torn else op["content"]
        elif kind == "symlink":
            entries[op["path"]] = ("link", op["target"])
        elif kind == "mkdir":
            entries[op["path"]] = ("tree", op["path"]) if _is_tree(op["path"]) else ("dir",)
            if _is_tree(op["path"]):
                contents[op["path"]] = ("tree", "")
        elif kind == "tree":
            contents[op["path"]] = ("damaged" if at in torn else "tree", op["copy"])
        elif kind == "gone":
            contents[op["path"]] = ("damaged", contents.get(op["path"], ("", ""))[1])
        elif kind == "rename" and op["node"]:
            if entries.get(op["src"]) == op["node"]:
                del entries[op["src"]]
            entries[op["dst"]] = op["node"]
        elif kind in ("unlink", "rmdir"):
            for name in [name for name in entries if name == op["path"] or kind == "rmdir" and name.startswith(op["path"] + "/")]:
                del entries[name]
    return entries, contents


def _half(before, after):
    """Bytes of which a part reached the disk: of an appended file the old part stays."""
    kept = len(before) if after.startswith(before) else 0
    return after[:kept + (len(after) - kept) // 2]


def name(entries, contents):
    """Equal for equal disks."""
    return hash(tuple((path, node, contents.get(node[1]) if len(node) > 1 and node[0] != "link" else None)
                      for path, node in sorted(entries.items())))


def make(disk, place):
    """Write a disk to a directory. A damaged tree bears a file DAMAGED, and lacks half of its own."""
    entries, contents = disk
    for path, node in sorted(entries.items(), key=lambda item: item[0].count("/")):
        whole = os.path.join(place, path)
        if node[0] == "dir":
            os.makedirs(whole, exist_ok=True)
        elif not os.path.isdir(os.path.dirname(whole)):
            continue  # its directory did not survive
        elif node[0] == "link":
            os.symlink(node[1], whole)
        elif node[0] == "file":
            Path(whole).write_bytes(contents.get(node[1], b""))
        else:
            _tree(contents.get(node[1], ("tree", "")), whole)


def _tree(content, whole):
    """A directory that holds the copy's files where the copy is whole, but for the seal, which has a name of its own."""
    os.mkdir(whole)
    if content[0] == "damaged" or not content[1]:
        Path(whole, "DAMAGED").touch()
        return
    Path(whole, "whole").touch()
    if os.path.exists(os.path.join(content[1], "manifest.json")):
        shutil.copyfile(os.path.join(content[1], "manifest.json"), os.path.join(whole, "manifest.json"))
