"""The load must count exactly: a load that forgives proves nothing about a switch, one that cries wolf is not believed."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from weft.testing.load import Load, main, resolve
from weft.testing.load_client import Client, Request, Target
from weft.testing.load_report import SETTLE_SECONDS, changes, latencies

SOURCE = Path(__file__).parents[2] / "src"


class Handler(BaseHTTPRequestHandler):
    """Answers by path; the server counts every request that it has read."""

    protocol_version, disable_nagle_algorithm = "HTTP/1.1", True

    def do_GET(self):
        self.server.seen.append((self.command, self.path, self.headers["Host"], self.headers["Connection"]))
        length = int(self.headers.get("Content-Length", 0))
        self.server.posted.append(len(self.rfile.read(length)))
        getattr(self, "answer_" + self.path.strip("/").replace("/", "_"), self.answer_)()

    do_POST = do_GET

    def answer_(self, status=200, body=None, length=None, **headers):
        body = json.dumps({"version": self.server.version} if body is None else body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(length or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer_broken(self):
        self.answer_(500, {"error": "boom"})

    def answer_elsewhere(self):
        self.answer_(302, Location="/")

    def answer_mixed(self):
        self.answer_(body={"version": "1", "lazy_version": "2"})

    def answer_same(self):
        self.answer_(body={"version": "1", "lazy_version": "1"})

    def answer_header(self):
        self.answer_(X_Version="7")

    def answer_slow(self):
        time.sleep(1.0)
        self.answer_()

    def answer_stuck(self):
        self.server.released.wait(30)
        self.answer_()

    def answer_drip(self):
        """A body that goes on and on, never silent for long."""
        self.answer_(length=10**6)
        while not self.server.released.wait(0.05):
            self.wfile.write(b".")

    def answer_cut(self):
        """Half of a body, then the end."""
        self.answer_(length=1000)
        self.close_connection = True

    def answer_nothing(self):
        """The end of the connection instead of an answer."""
        self.close_connection = True

    def answer_once(self):
        """One good answer a connection; the next request on it is read, and the connection closed."""
        if getattr(self, "answered", False):
            self.close_connection = True
        else:
            self.answered = True
            self.answer_()

    def answer_part(self):
        """One good answer a connection; the next one breaks off within the status line."""
        if getattr(self, "answered", False):
            self.wfile.write(b"HTTP/1.1 2")
            self.close_connection = True
            time.sleep(0.1)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())  # a reset, with no polite end before it
        else:
            self.answered = True
            self.answer_()

    def answer_idle(self):
        """A good answer, after which the server closes the connection without having said so."""
        self.answer_()
        self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.handle_error = lambda *_: None
        server.daemon_threads, server.block_on_close = True, False
        server.seen, server.posted, server.version, server.released = [], [], "1", threading.Event()
        server.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.released.set()
        server.shutdown()


@pytest.fixture
def client(server):
    """A client that keeps its connection."""
    client = Client(Target("127.0.0.1", server.server_port, "app.test", version_key="version", timeout=5), keep_alive=True)
    yield client
    client.close()


def until(holds):
    """Wait for it; a busy machine may need long."""
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


def run(server, path="/", seconds=0.4, **options):
    load = Load(server.url + path, seconds=seconds, **options).start()
    load.wait()
    return load.stop()


def test_every_request_the_server_saw_is_counted_once(server):
    load = Load(server.url, seconds=60, clients=4, version_json="version", post=("/echo", 1000)).start()
    until(lambda: len(server.seen) > 100)
    report = load.stop()
    posts = [seen for seen in server.seen if seen[0] == "POST"]
    assert report.sent == report.ok == len(server.seen) > 50
    assert (report.failed, report.reconnects, report.mixed) == (0, 0, 0)
    assert report.versions == {"1": report.ok} and report.clean
    assert sum(server.posted) == 1000 * len(posts)
    assert 0.1 < len(posts) / report.sent < 0.3


def test_half_of_the_clients_keep_their_connection(server):
    accepted = []
    accept = server.get_request
    server.get_request = lambda: accepted.append(1) or accept()
    report = run(server, clients=2)
    connections = Counter(seen[3] for seen in server.seen)
    assert connections["keep-alive"] > 1 < connections["close"] and len(server.seen) == report.sent
    assert len(accepted) == connections["close"] + 1
    accepted.clear()
    run(server, clients=1)
    assert len(accepted) == 1


def test_a_rate_is_kept(server):
    report = run(server, clients=3, rate=50, seconds=1.0)
    assert 1 < report.sent <= 55  # no lower one: a busy machine sends fewer


def test_the_host_header_is_what_was_asked_for(server):
    run(server, clients=1, seconds=0.1, host_header="app.example.org")
    assert {seen[2] for seen in server.seen} == {"app.example.org"}


@pytest.mark.parametrize("path, kind, status", [("/broken", "status", 500), ("/elsewhere", "status", 302), ("/cut", "incomplete", None),
                                                ("/nothing", "closed", None)])
def test_anything_but_a_whole_good_answer_has_failed(server, client, path, kind, status):
    assert not client.ask(Request(path))
    assert (client.sent, client.ok, client.failed, client.reconnects) == (1, 0, 1, 0)
    assert [(bad.kind, bad.status, bad.path) for bad in client.failures] == [(kind, status, path)]
    assert abs(client.failures[0].at - time.time()) < 5


def test_a_failure_shows_the_first_bytes_of_the_answer(client):
    client.ask(Request("/broken"))
    assert client.failures[0].body == '{"error": "boom"}'


def test_only_so_many_failures_are_kept_but_all_are_counted(server, client):
    for _ in range(60):
        client.ask(Request("/broken"))
    assert (client.failed, len(client.failures)) == (60, 50)


def test_a_refused_connection_has_failed():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        client = Client(Target("127.0.0.1", closed.getsockname()[1], "app.test"), keep_alive=False)
        assert not client.ask(Request("/"))
    assert client.failures[0].kind == "refused"


def test_silence_has_failed_after_the_timeout(server):
    client = Client(Target("127.0.0.1", server.server_port, "app.test", timeout=0.2), keep_alive=True)
    assert not client.ask(Request("/stuck"))
    assert client.failures[0].kind == "timeout" and client.reconnects == 0


def test_a_get_on_a_kept_connection_that_was_closed_is_asked_again_once(server, client):
    assert client.ask(Request("/once")) and client.ask(Request("/once"))
    assert (client.sent, client.ok, client.failed, client.reconnects) == (2, 2, 0, 1)
    assert len(server.seen) == 3


def test_a_post_on_a_kept_connection_that_was_closed_has_failed(server, client):
    assert client.ask(Request("/once"))
    assert not client.ask(Request("/once", body=b"order"))
    assert (client.failed, client.reconnects, client.failures[0].method) == (1, 0, "POST")
    assert len(server.seen) == 2, "it was not sent twice"


def test_an_answer_that_has_begun_is_not_asked_for_again(server, client):
    assert client.ask(Request("/part"))
    assert not client.ask(Request("/part"))
    assert (client.failed, client.reconnects, client.failures[0].kind) == (1, 0, "reset")


def test_a_connection_found_closed_before_sending_is_opened_anew_for_any_method(server, client):
    assert client.ask(Request("/idle"))
    time.sleep(0.2)
    assert client.ask(Request("/", body=b"order"))
    assert (client.ok, client.failed, client.reconnects) == (2, 0, 1)


def test_a_get_that_fails_twice_has_failed_once(server, client):
    client.ask(Request("/"))
    assert not client.ask(Request("/nothing"))
    assert (client.sent, client.failed, client.reconnects) == (2, 1, 1)


def test_an_answer_out_of_two_versions_is_mixed(client):
    assert client.ask(Request("/mixed")) and client.ask(Request("/same"))
    assert (client.ok, client.mixed) == (2, 1)
    assert client.mixed_answers[0].detail == "1 and 2"


def test_a_report_with_a_mixed_answer_is_not_clean(server):
    report = run(server, "/mixed", clients=1, seconds=0.1, version_json="version")
    assert report.failed == 0 and report.mixed == report.sent and not report.clean


def test_the_version_may_be_a_header_or_absent(server):
    assert list(run(server, "/header", clients=1, seconds=0.1, version_header="X-Version").versions) == ["7"]
    assert list(run(server, clients=1, seconds=0.1, version_json="other").versions) == ["(none)"]


def test_a_change_of_version_is_noticed(server):
    load = Load(server.url, clients=4, seconds=60, version_json="version").start()
    until(lambda: len(server.seen) > 20)
    flipped, seen = time.time(), len(server.seen)
    server.version = "2"
    until(lambda: len(server.seen) > seen + 20)
    known = time.time()
    report = load.stop()
    assert [(change.old, change.new) for change in report.changes] == [("1", "2")]
    assert flipped - 0.01 < report.changes[0].first_new < known + 0.01
    assert set(report.versions) == {"1", "2"} and sum(report.versions.values()) == report.ok


def test_a_slow_request_in_flight_is_waited_for_and_left_out_of_the_latencies(server):
    report = run(server, clients=1, seconds=0.3, slow=[("/slow", 2)])
    assert (report.slow, report.failed) == (2, 0)
    assert report.slow_worst_ms >= 1000 > report.worst_ms


def test_a_request_that_never_ends_has_failed_and_does_not_hold_the_report(server):
    load = Load(server.url + "/drip", clients=2, seconds=0.2, timeout=0.5).start()
    load.wait()
    began = time.monotonic()
    report = load.stop()
    assert 0.4 < time.monotonic() - began < 25  # the server would go on for 30 s
    assert report.sent == report.failed == 2
    assert [bad.kind for bad in report.failures] == ["unfinished"] * 2


def answer(start, end, version, slow=False):
    return start, end, version, slow


def test_answers_in_flight_at_a_change_are_no_overlap():
    found = changes([answer(0, 1, "a"), answer(1.5, 9, "a"), answer(2, 3, "b"), answer(4, 5, "b")])
    assert [(change.first_new, change.last_old, change.overlap_ms) for change in found] == [(3, None, 0)]


def test_an_old_answer_asked_for_after_the_new_one_is_an_overlap():
    found = changes([answer(0, 0.1, "a"), answer(0.2, 0.3, "b"), answer(0.35, 0.45, "a"), answer(0.5, 0.6, "b")], epoch=100)
    assert [(change.old, change.new) for change in found] == [("a", "b")]
    assert found[0].first_new == pytest.approx(100.3) and found[0].last_old == pytest.approx(100.45)
    assert found[0].overlap_ms == pytest.approx(150)


def test_a_way_back_is_a_change_of_its_own():
    steady = [answer(t / 10, t / 10 + 0.05, "b" if 20 <= t < 20 + 20 * SETTLE_SECONDS else "a") for t in range(60)]
    assert [(change.old, change.new, change.overlap_ms) for change in changes(steady)] == [("a", "b", 0), ("b", "a", 0)]


def test_a_pause_in_the_load_is_no_change():
    assert changes([answer(0, 1, "a"), answer(100, 101, "a")]) == []


def test_the_worst_latency_around_a_change_leaves_far_and_slow_answers_out():
    found = changes([answer(0, 5, "a"), answer(9.5, 9.9, "a"), answer(9.8, 10, "b"), answer(5, 10.5, "b", slow=True), answer(20, 28, "b")])
    assert found[0].worst_ms == pytest.approx(400)


def test_percentiles_are_of_real_answers():
    figures = latencies([answer(0, number / 1000, "a") for number in range(1, 51)])
    assert (figures["p50_ms"], figures["p99_ms"], figures["worst_ms"]) == pytest.approx((25, 50, 50))
    assert latencies([])["p99_ms"] == 0


@pytest.mark.parametrize("url, words", [("http://192.0.2.1/", "not a test address"), ("http://10.98.1.1/", "not a test address"),
                                        ("https://127.0.0.1/", "expected http://"), ("127.0.0.1", "expected http://")])
def test_a_load_is_not_aimed_at_production(url, words):
    with pytest.raises(ValueError, match=words):
        Load(url)


def test_test_addresses_and_a_wish_in_so_many_words_are_let_through():
    assert resolve("http://10.98.0.11:8080/a?b")[1:] == (8080, "10.98.0.11:8080", "/a?b")
    assert resolve("http://192.0.2.1/", allow_any_address=True)[0] == "192.0.2.1"


def test_wrong_words_are_refused_before_anything_is_sent(capsys):
    for words in (["http://192.0.2.1/"], ["http://127.0.0.1/", "--slow", "slow"], ["http://127.0.0.1/", "--clients", "0"]):
        with pytest.raises(SystemExit) as caught:
            main(words)
        assert caught.value.code == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_process_with_its_report(server, tmp_path, number):
    progress = tmp_path / "progress.json"
    words = [sys.executable, "-m", "weft.testing.load", server.url, "--json", "--seconds", "60", "--clients", "2", "--progress", str(progress),
             "--slow", "/slow:1"]
    with subprocess.Popen(words, env={**os.environ, "PYTHONPATH": str(SOURCE)}, stdout=subprocess.PIPE, text=True) as process:
        try:
            until(lambda: progress.exists() and json.loads(progress.read_text())["sent"] > 0)
            until(lambda: any(seen[1] == "/slow" for seen in server.seen))
            process.send_signal(number)
            report = json.loads(process.communicate(timeout=20)[0])
        finally:
            process.kill()
    assert process.returncode == 0 and report["clean"]
    assert report["sent"] == report["ok"] == len(server.seen) and report["slow"] >= 1
    assert report["seconds"] < 60
    last = json.loads(progress.read_text())
    assert last.pop("in_flight") == 0 and last.pop("seconds") < 60
    assert last == {name: report[name] for name in last} and "versions" in last


def test_a_load_ends_by_itself_and_its_exit_code_tells_of_losses(server, capsys):
    assert main([server.url, "--seconds", "0.2", "--clients", "2"]) == 0
    assert "failed              0" in capsys.readouterr().out
    assert main([server.url + "/broken", "--seconds", "0.2", "--clients", "2"]) == 1
    assert "status: GET /broken 500" in capsys.readouterr().out
