"""Real pip and real uv against the index over real HTTP, with no other index in reach."""

import http.client
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

UV = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


def run(*argv: str) -> str:
    """Run with a configuration of nobody's, so that only the index asked for is asked."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "UV_", "PYTHON"))}
    done = subprocess.run(argv, capture_output=True, text=True, check=False,
                          env={**clean, "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "NO_PROXY": "*",
                               "UV_NO_CONFIG": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_pip_downloads_the_newest_with_its_dependency(served, tmp_path):
    got = tmp_path / "got"
    run(sys.executable, "-m", "pip", "download", "--no-cache-dir", "--index-url", f"{served}/simple/", "-d", str(got), "hello")
    assert sorted(path.name for path in got.iterdir()) == ["Dep.Lib-1.1-py3-none-any.whl", "hello-1.10-py3-none-any.whl"]


def test_pip_installs_a_named_version_and_checks_its_hash(served, tmp_path, store):
    run(sys.executable, "-m", "pip", "install", "--no-cache-dir", "--index-url", f"{served}/simple/", "--target", str(tmp_path),
        "hello==1.9", "dep_lib<1.1")
    assert (tmp_path / "hello.py").read_text() == "__version__ = '1.9'\n" and (tmp_path / "Dep.Lib.py").exists()
    wheel = store / "hello/1.9/hello-1.9-py3-none-any.whl"
    wheel.write_bytes(wheel.read_bytes()[:-1] + b"x")
    with pytest.raises(AssertionError, match="(?i)hash"):
        run(sys.executable, "-m", "pip", "install", "--no-cache-dir", "--no-deps", "--index-url", f"{served}/simple/",
            "--target", str(tmp_path / "other"), "hello==1.9")


@pytest.mark.skipif(UV is None, reason="uv is not installed: pip install uv")
def test_uv_installs(served, tmp_path):
    run(UV, "pip", "install", "--no-cache", "--index-url", f"{served}/simple/", "--python", sys.executable,
        "--target", str(tmp_path), "hello==1.10")
    assert (tmp_path / "hello.py").read_text() == "__version__ = '1.10'\n" and (tmp_path / "Dep.Lib.py").exists()


@pytest.mark.skipif(UV is None, reason="uv is not installed: pip install uv")
def test_uv_respects_the_time_of_release(served, tmp_path):
    run(UV, "pip", "install", "--no-cache", "--index-url", f"{served}/simple/", "--python", sys.executable,
        "--target", str(tmp_path), "--exclude-newer", "2026-03-02T12:00:00Z", "hello")
    assert (tmp_path / "hello.py").read_text() == "__version__ = '1.9'\n"


def test_many_at_once(served):
    """Threads share the application: every answer is whole."""
    address, faults = urlsplit(served).netloc, []

    def ask():
        for path in ("/", "/simple/hello/", "/hello/1.9/hello-1.9.tar.gz") * 5:
            line = http.client.HTTPConnection(address, timeout=20)
            line.request("GET", path)
            answer = line.getresponse()
            if answer.status != 200 or len(answer.read()) != int(answer.headers["Content-Length"]):
                faults.append(path)
            line.close()

    threads = [threading.Thread(target=ask) for _each in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
