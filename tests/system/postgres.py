"""A real PostgreSQL on the fleet's operator network, for an application that keeps its records there."""

import glob
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

ADDRESS, PORT = "10.98.0.1", 5432


def missing():
    """The package that provides it, or nothing."""
    return [] if glob.glob("/usr/lib/postgresql/*/bin/postgres") else ["the package postgresql (apt-get install postgresql)"]


class Postgres:
    """A cluster of its own, in memory as far as durability goes; a context manager."""

    def __init__(self, fleet):
        self.fleet = fleet
        self.bin = Path(sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))[-1]).parent
        self.dir = Path(tempfile.mkdtemp(prefix="weft-pg-"))
        self.url = f"postgresql+psycopg2://kinto:kinto@{ADDRESS}:{PORT}/kinto"

    def __enter__(self):
        shutil.chown(self.dir, "postgres", "postgres")
        self._as(["initdb", "-D", str(self.dir / "data"), "-A", "trust", "-N", "-E", "UTF8", "--locale=C.UTF-8"])
        with (self.dir / "data/pg_hba.conf").open("a") as hba:
            hba.write("host all all 10.98.0.0/24 md5\n")
        self.server = self.fleet.popen(
            ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", str(self.bin / "postgres"), "-D", str(self.dir / "data"),
             "-c", f"listen_addresses={ADDRESS}", "-c", f"port={PORT}", "-c", f"unix_socket_directories={self.dir}",
             "-c", "fsync=off", "-c", "max_connections=200"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            if self._psql("SELECT 1", check=False).returncode == 0:
                break
            time.sleep(0.1)
        self._psql("CREATE ROLE kinto LOGIN PASSWORD 'kinto'")
        self._psql("CREATE DATABASE kinto OWNER kinto")
        self._psql("ALTER DATABASE kinto SET timezone TO 'UTC'")
        return self

    def __exit__(self, *_exception):
        self.server.send_signal(signal.SIGINT)  # a fast shutdown; SIGTERM would wait for the clients
        self.server.wait(30)
        shutil.rmtree(self.dir, ignore_errors=True)

    def _as(self, words, check=True):
        done = subprocess.run(["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", str(self.bin / words[0]), *words[1:]],
                              capture_output=True, text=True, cwd="/", env={**os.environ, "HOME": str(self.dir)}, timeout=60)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def _psql(self, statement, check=True):
        return self._as(["psql", "-h", str(self.dir), "-p", str(PORT), "-d", "postgres", "-c", statement], check)
