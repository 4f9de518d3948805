"""Real servers for the stores' tests: one that speaks S3, one that speaks SFTP, a web server with every vice."""

import contextlib
import http.server
import socketserver
import ssl
import subprocess
import threading
import urllib.request
from functools import partial

import pytest

from weft.testing.fleet import SSHD, Sshd, make


@contextlib.contextmanager
def s3(patch):
    """moto's S3 over HTTP, with the bucket `artifacts`; AWS's own variables lead there. Yields its address."""
    server_module = pytest.importorskip("moto.server", reason="moto (pip: 'moto[s3,server]')")
    s3fs = pytest.importorskip("s3fs", reason="s3fs (pip: s3fs)")
    import logging
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = server_module.ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    server._server.app = _one_at_a_time(server._server.app)
    try:
        url = "http://{}:{}".format(*server.get_host_and_port())
        for name, value in {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "s3cr3t-of-the-test",
                            "AWS_DEFAULT_REGION": "us-east-1", "AWS_CONFIG_FILE": "/dev/null", "NO_PROXY": "127.0.0.1",
                            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}.items():
            patch.setenv(name, value)
        urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset", method="POST")).close()
        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem(use_listings_cache=False).mkdir("artifacts")
        yield url
    finally:
        server.stop()
        s3fs.S3FileSystem.clear_instance_cache()


def _one_at_a_time(app):
    """moto's requests share an object without a lock: of two conditional writes at once both may be let in, where S3 lets in one."""
    mutex = threading.Lock()

    def answer(environ, start_response):
        with mutex:
            return app(environ, start_response)
    return answer


@contextlib.contextmanager
def sftp(place, patch):
    """A real sshd on loopback; a home whose ~/.ssh knows it. Yields the Sshd."""
    if not subprocess.run(["test", "-x", SSHD], check=False).returncode == 0:
        pytest.skip("sshd (apt: openssh-server)")
    server = Sshd(make(place / "sshd"))
    with open(place / "sshd" / "sshd_config", "a", encoding="utf-8") as config:
        config.write("Subsystem sftp internal-sftp\nMaxSessions 4\n")
    home = make(place / "home" / ".ssh")
    (home / "known_hosts").write_text(server.known("127.0.0.1"))
    (home / "config").write_text(f"Host artifacts\n  HostName 127.0.0.1\n  Port {server.port}\n"
                                 f"Host 127.0.0.1 artifacts\n  IdentityFile {place}/sshd/client_key\n")
    patch.setenv("HOME", str(place / "home"))
    patch.delenv("SSH_AUTH_SOCK", raising=False)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class Web(http.server.SimpleHTTPRequestHandler):
    """A plain web server, with `answers` (path -> function of the handler) for what a bad one does."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Authorization", "")))
        bad = self.server.answers.get(self.path)
        return bad(self) if bad else super().do_GET()

    def log_message(self, *_):
        """Silence."""

    def plain(self, code, body=b"", **headers):
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A client that hangs up is no fault of the server."""


@contextlib.contextmanager
def web(root, tls=None):
    """A web server over `root`; tls: (certificate, key). Yields it: `url`, `answers`, `asked`."""
    server = _Server(("127.0.0.1", 0), partial(Web, directory=str(root)))
    server.answers, server.asked = {}, []
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.url = f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=partial(server.serve_forever, 0.01), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
