"""The engine, with every change it makes to the disk noted in order: `python -m tests.host.recorder OUT ENGINE-ARGUMENTS...`.

A line of JSON an operation: what came to be under which name (files by a number that stays theirs when they are renamed),
what was written, and what was made durable. What other programs put into a release, a layer or a tool counts as one thing,
its tree; its seal is noted like any file. OUT.trees/N holds a copy of each tree as it was when it was made durable.
"""

import base64
import builtins
import errno
import io
import json
import os
import shutil
import sys
from pathlib import Path

OPAQUE = ("releases", "layers", "tools")
IGNORED = ("var/log", "var/run", "var/app/shop/run", "var/lib/weft/shop/lock", "var/lib/weft/shop/traffic", "var/app/shop/cache/.weft-tmp-wheels")
MAKES = {"rename", "replace", "symlink", "mkdir", "unlink", "remove", "rmdir"}


class Recorder:
    def __init__(self, prefix, out):
        self.prefix, self.out, self.trees = os.path.realpath(prefix), open(out, "w"), Path(f"{out}.trees")
        self.numbers, self.known, self.next, self.busy = {}, {}, 0, False
        self.refused = os.environ.get("WEFT_TEST_REFUSED", "")  # the disk has no room for a file of this name

    def install(self):
        self.real = {name: getattr(os, name) for name in (*MAKES, "open", "fsync")}
        for name in MAKES:
            setattr(os, name, self._wrapped(name))
        os.open, os.fsync = self._open, self._fsync
        self.io_open = io.open
        io.open = builtins.open = self._io_open
        from weft import durable
        self.syncfs = durable._syncfs
        durable._syncfs = self._syncfs
        real_sync = durable.sync_tree

        def sync_tree(root):
            self._tree(Path(root))
            real_sync(root)
        durable.sync_tree = sync_tree

    # -- names -----------------------------------------------------------------------------------------------------

    def place(self, path, dir_fd=None):
        """Relative to the prefix; "" for what is elsewhere or does not count."""
        path = os.fspath(path)
        path = path.decode() if isinstance(path, bytes) else path
        if not os.path.isabs(path):
            path = os.path.join(os.readlink(f"/proc/self/fd/{dir_fd}") if dir_fd is not None else os.getcwd(), path)
        folder, name = os.path.split(os.path.normpath(path))
        whole = os.path.join(os.path.realpath(folder), name)
        if not whole.startswith(self.prefix + "/"):
            return ""
        relative = whole[len(self.prefix) + 1:]
        return "" if relative.startswith(IGNORED) or relative.startswith("made") else relative

    def opaque(self, relative):
        """The root of the tree that a name lies in, "" for none; the root itself and its seal count as themselves."""
        parts = relative.split("/")
        if parts[:3] != ["var", "app", "shop"] or len(parts) < 6 or parts[3] not in OPAQUE:
            return ""
        if len(parts) == 6 and (parts[5] == "SEAL" or parts[5].startswith(".weft-tmp-SEAL")):
            return ""
        return "/".join(parts[:5])

    # -- noting ----------------------------------------------------------------------------------------------------

    def note(self, op, **words):
        self.out.write(json.dumps({"op": op, **words}) + "\n")
        self.out.flush()

    def _number(self, relative, new):
        if new or relative not in self.numbers:
            self.next += 1
            self.numbers[relative] = self.next
            self.known[relative] = b""
            path = os.path.join(self.prefix, relative)
            if new:
                self.note("create", path=relative, ino=self.next)
            else:
                self.known[relative] = self._content(path)
                self.note("known", path=relative, ino=self.next)
        return self.numbers[relative]

    def _content(self, path):
        fd = self.real["open"](path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            blocks = []
            while block := os.read(fd, 1 << 20):
                blocks.append(block)
            return b"".join(blocks)
        finally:
            os.close(fd)

    def look(self):
        """Note what was written since the last operation."""
        for relative in list(self.numbers):
            try:
                content = self._content(os.path.join(self.prefix, relative))
            except OSError:
                continue
            if content != self.known[relative]:
                self.known[relative] = content
                self.note("data", ino=self.numbers[relative], path=relative, content=base64.b64encode(content).decode())

    def _guard(self, act):
        """Do an operation, noting nothing of what noting itself does."""
        if self.busy:
            return act
        def guarded():
            self.busy = True
            try:
                return act()
            finally:
                self.busy = False
        return guarded

    def _wrapped(self, name):
        real = self.real[name]

        def call(*args, **words):
            if self.busy:
                return real(*args, **words)
            return self._guard(lambda: self._make(name, real, args, words))()
        return call

    def _make(self, name, real, args, words):
        self.look()
        dir_fd = words.get("dir_fd", words.get("src_dir_fd"))
        if name in ("rename", "replace"):
            return self._rename(real, args, words)
        path = self.place(args[1] if name == "symlink" else args[0], dir_fd)
        tree = self.opaque(path) if path else ""
        result = real(*args, **words)
        if not path:
            return result
        if tree:
            if name in ("unlink", "remove", "rmdir"):
                self.note("gone", path=tree)
            return result
        if name == "symlink":
            self.next += 1
            self.numbers.pop(path, None)
            self.note("symlink", path=path, target=os.fspath(args[0]), ino=self.next)
        elif name == "mkdir":
            self.note("mkdir", path=path)
        else:
            self.numbers.pop(path, None)
            self.note("rmdir" if name == "rmdir" else "unlink", path=path)
        return result

    def _rename(self, real, args, words):
        source, target = self.place(args[0]), self.place(args[1])
        if self.refused and target.endswith(self.refused):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        result = real(*args, **words)
        if source and target and not self.opaque(source):
            number = self.numbers.pop(source, None)
            self.note("rename", src=source, dst=target)
            if number:
                self.numbers[target], self.known[target] = number, self.known.pop(source)
        return result

    def _open(self, path, flags, mode=0o777, *, dir_fd=None):
        if self.busy or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) or flags & os.O_DIRECTORY:
            return self.real["open"](path, flags, mode, dir_fd=dir_fd)
        return self._guard(lambda: self._opened(path, lambda: self.real["open"](path, flags, mode, dir_fd=dir_fd), dir_fd))()

    def _io_open(self, file, mode="r", *args, **words):
        writes = isinstance(mode, str) and set(mode) & set("wax+")
        if self.busy or not writes or isinstance(file, int):
            return self.io_open(file, mode, *args, **words)
        return self._guard(lambda: self._opened(file, lambda: self.io_open(file, mode, *args, **words)))()

    def _opened(self, path, go, dir_fd=None):
        self.look()
        relative = self.place(path, dir_fd)
        new = relative and not os.path.lexists(os.path.join(self.prefix, relative))
        if relative and not new and not self.opaque(relative):
            self._number(relative, False)
        result = go()
        if new and not self.opaque(relative):
            self._number(relative, True)
        return result

    def _fsync(self, fd):
        if self.busy:
            return self.real["fsync"](fd)
        return self._guard(lambda: self._synced(fd))()

    def _synced(self, fd):
        self.look()
        relative = self.place(os.readlink(f"/proc/self/fd/{fd}"))
        result = self.real["fsync"](fd)
        caller = self._caller()
        if relative and os.path.isdir(os.path.join(self.prefix, relative)):
            self.note("fsyncdir", path=relative, by=caller)
        elif relative in self.numbers:
            self.note("fsync", ino=self.numbers[relative], path=relative, by=caller)
        return result

    def _caller(self):
        """Which line of the engine asked for it: the first frame outside of durable.py, and the one inside."""
        frame, lines = sys._getframe(3), []
        while frame and len(lines) < 3:
            name = frame.f_code.co_filename
            if "/weft/" in name:
                lines.append(f"{os.path.basename(name)}:{frame.f_code.co_name}")
            frame = frame.f_back
        return " < ".join(lines)

    def _tree(self, root):
        relative = self.place(root)
        if not relative:
            return
        self.look()
        self.next += 1
        self.busy = True
        try:
            shutil.copytree(root, self.trees / str(self.next), symlinks=True)
        finally:
            self.busy = False
        self.note("tree", path=relative, copy=str(self.trees / str(self.next)))

    def _syncfs(self, fd):
        self.busy = True
        try:
            done = self.syncfs(fd)
        finally:
            self.busy = False
        self.look()
        self.note("syncfs", by=self._caller())
        return done


def main():
    out, prefix = sys.argv[1], sys.argv[3]
    from weft.host import __main__ as engine
    recorder = Recorder(prefix, out)
    recorder.install()
    engine.engine_argv = lambda prefix: [sys.executable, "-m", "weft.host", *(["--prefix", prefix] if prefix else [])]
    try:
        engine.main(sys.argv[2:])
    finally:
        recorder.busy = True
        recorder.look()
        recorder.out.close()


if __name__ == "__main__":
    main()
