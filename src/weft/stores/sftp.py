"""A store on an SSH server: sftp://[user@]host[:port]/absolute/path. ~/.ssh/config is honoured, host keys are checked.

Create-only is SFTP's plain rename, which OpenSSH does with link(2): it never replaces. Needs no rights but a directory.
"""

from __future__ import annotations

import contextlib
import errno
import stat
import tempfile
import threading
from pathlib import Path
from typing import Any, BinaryIO, Iterator
from urllib.parse import unquote, urlsplit

from weft.errors import Refused, UsageError
from weft.openssh import config as ssh_config, words
from weft.openssh.known_hosts import SYSTEM, USER, Known, Reject, known_as
from weft.stores import common, space
from weft.stores.keyed import UPLOAD, KeyedStore

PROJECT_KEYS = Path("deploy") / "known_hosts"
_SECONDS = 20
_BLOCK = 1 << 20
_REQUESTS = 64


def open_url(url: str, root: Path) -> KeyedStore:
    """root: the project, whose deploy/known_hosts is believed beside the user's own and the system's."""
    parts = urlsplit(url)
    try:
        host, port = parts.hostname, parts.port or 0
    except ValueError:
        raise UsageError(f"artifact store {common.public(url)!r}: the port is no number") from None
    if not host or not parts.path.strip("/"):
        raise UsageError(f"artifact store {common.public(url)!r} needs a host and a path", "write sftp://host/absolute/path")
    return KeyedStore(Sftp(Way(host, port, parts.username or "", root / PROJECT_KEYS), unquote(parts.path).rstrip("/"),
                           common.public(url)), common.public(url))


class Way:
    """How to reach the server, ~/.ssh/config read when it is first used. port 0, user "": as that says."""

    def __init__(self, host: str, port: int, user: str, keys: Path):
        self.host, self.port, self.user, self.keys = host, port, user, keys

    def connect(self) -> Any:
        """A paramiko client. Raises Refused for a host key that is not known or has changed, OSError for the network."""
        import paramiko
        from weft.openssh import agent
        client, said = paramiko.SSHClient(), self._configured()
        if said.get("proxyjump", "none") != "none":
            raise Refused(f"{self.host}: ~/.ssh/config names a ProxyJump, which a store does not follow",
                          f"write ProxyCommand ssh -W %h:%p {said['proxyjump']} there")
        at, port = said.get("hostname", self.host), self.port or int(said.get("port", 22))
        known, name = Known((self.keys, USER, SYSTEM)), known_as(said, at, port)
        known.prime(client, said, at, port)
        agent.give(client, said)
        client.set_missing_host_key_policy(Reject(known, self.host, f"add it to {PROJECT_KEYS} or ~/.ssh/known_hosts"))
        proxy = paramiko.ProxyCommand(said["proxycommand"]) if said.get("proxycommand", "none") != "none" else None
        try:
            client.connect(at, port, self.user or said.get("user"), key_filename=ssh_config.identities(said), timeout=_SECONDS, banner_timeout=_SECONDS, sock=proxy)
        except paramiko.BadHostKeyException as error:
            known.refuse_revoked(self.host, name, error.key)
            raise Refused(f"{self.host}: THE HOST KEY HAS CHANGED: it shows {error.key.get_name()} {error.key.fingerprint}, "
                          f"known is {error.expected_key.fingerprint}",
                          "somebody may stand between you and the host; only if you know that it was made anew, mend known_hosts"
                          ) from None
        client.get_transport().set_keepalive(15)
        return client

    def _configured(self) -> dict[str, Any]:
        return dict(ssh_config.read([ssh_config.USER]).lookup(self.host))


class Sftp:
    """One connection, opened when it is first needed and again when it was lost; one request at a time."""

    words = common.Words(UPLOAD, "one rename onto {version}~release.json, which SFTP refuses where it is there")

    def __init__(self, way: Way, root: str, shown: str):
        self.way, self.root, self.shown = way, root, shown
        self._lock, self._client, self._sftp = threading.RLock(), None, None

    def _at(self, name: str) -> str:
        return f"{self.root}/{name}" if name else self.root

    @contextlib.contextmanager
    def _connected(self, writing: bool = False) -> Iterator[Any]:
        """The SFTP client, for this thread alone; what goes wrong becomes a refusal, "not there" only where one writes."""
        import paramiko
        with self._lock:
            opened = False
            try:
                transport = self._client and self._client.get_transport()
                if not transport or not transport.is_active():
                    self._client = self.way.connect()
                    self._sftp = self._client.open_sftp()
                    self._sftp.get_channel().settimeout(_SECONDS)
                opened = True
                yield self._sftp
            except (OSError, EOFError, paramiko.SSHException) as error:
                if isinstance(error, FileNotFoundError) and opened and not writing:
                    raise
                raise Refused(f"{self.shown}: {common.scrubbed(words(error))}", "check the address, your key and your rights there") from None

    def names(self, folder: str) -> list[str]:
        with self._connected() as sftp:
            try:
                found = sftp.listdir_attr(self._at(folder))
            except FileNotFoundError:
                return []
        return [each.filename + "/" * stat.S_ISDIR(each.st_mode) for each in found]

    def open(self, name: str, most: int) -> BinaryIO:
        """Fetched as a whole, many requests at a time, into a temporary file."""
        here = tempfile.TemporaryFile(prefix="weft-")
        try:
            with self._connected() as sftp, sftp.open(self._at(name), "rb") as remote:
                remote.prefetch(min(remote.stat().st_size, most + 1), _REQUESTS)
                left = most + 1
                while left > 0 and (block := remote.read(min(left, _BLOCK))):
                    here.write(block)
                    left -= len(block)
        except BaseException:
            here.close()
            raise
        here.seek(0)
        return here

    def create(self, name: str, content: bytes) -> bool:
        with self._connected(writing=True) as sftp:
            part = self._put(sftp, name, content)
            try:
                sftp.rename(part, self._at(name))
            except OSError:
                sftp.remove(part)
                if not _there(sftp, self._at(name)):
                    raise
                return False
        return True

    def replace(self, name: str, content: bytes) -> None:
        with self._connected(writing=True) as sftp:
            sftp.posix_rename(self._put(sftp, name, content), self._at(name))

    def _put(self, sftp: Any, name: str, content: bytes) -> str:
        """The content under a hidden name beside `name`, on the server's disk."""
        part = self._at(space.temp(name))
        self._folder(sftp, name)
        with sftp.open(part, "wxb") as out:
            out.write(content)
            _sync(sftp, out)
        return part

    def upload(self, name: str, source: BinaryIO) -> None:
        with self._connected(writing=True) as sftp:
            self._folder(sftp, name)
            with sftp.open(self._at(name), "wxb") as out:
                out.set_pipelined(True)
                while block := source.read(_BLOCK):
                    out.write(block)
                _sync(sftp, out)

    def _folder(self, sftp: Any, name: str) -> None:
        path = ""
        for part in self._at(name).split("/")[1:-1]:
            path = f"{path}/{part}"
            if not _there(sftp, path):
                with contextlib.suppress(OSError):  # somebody else made it: the next request tells
                    sftp.mkdir(path)

    def delete(self, name: str) -> None:
        with self._connected() as sftp, contextlib.suppress(FileNotFoundError):
            sftp.remove(self._at(name))

    def drop(self, folder: str) -> None:
        for name in self.names(folder):
            (self.drop if name.endswith("/") else self.delete)(f"{folder}/{name.rstrip('/')}")
        with self._connected() as sftp, contextlib.suppress(FileNotFoundError):
            sftp.rmdir(self._at(folder))


def _there(sftp: Any, path: str) -> bool:
    try:
        sftp.lstat(path)
    except FileNotFoundError:
        return False
    return True


def _sync(sftp: Any, out: Any) -> None:
    """fsync on the server, where it is OpenSSH's; others have no such word."""
    from paramiko.sftp import CMD_EXTENDED
    out.flush()
    try:
        sftp._request(CMD_EXTENDED, "fsync@openssh.com", out.handle)
    except OSError as error:
        if error.errno in (errno.EIO, errno.ENOSPC) or "unsupported" not in str(error).lower():
            raise
