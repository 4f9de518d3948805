"""What weft.haproxy says to a runtime socket and makes of its answers; tests/system/test_haproxy.py has a real HAProxy."""

import socketserver
import threading

import pytest

from weft import haproxy

HEAD = "# pxname,svname,qcur,scur,status,\n"


class Balancer(socketserver.ThreadingUnixStreamServer):
    """Two servers of the backend shop. sessions: what each look at web1 sees next; the last one stays. heard: the `set` commands."""

    daemon_threads = True

    def __init__(self, path):
        super().__init__(str(path), Talk)
        self.path, self.states, self.sessions, self.heard, self.refuses = str(path), {"web1": "UP", "web2": "UP"}, [0], [], ()
        self.up = "UP"

    def answer(self, line):
        if line == "show stat":
            now = self.sessions.pop(0) if len(self.sessions) > 1 else self.sessions[0]
            rows = [f"shop,{name},0,{now if name == 'web1' else 3},{status}," for name, status in self.states.items()]
            return HEAD + "shop,FRONTEND,,9,OPEN,\n" + "\n".join(rows) + "\nshop,BACKEND,0,9,UP,\n\n"
        self.heard.append(line)
        _set, _server, place, _state, word = line.split()
        if word in self.refuses:
            return "Permission denied\n\n"
        self.states[place.partition("/")[2]] = self.up if word == "ready" else "DRAIN"
        return "\n"


class Talk(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(self.server.answer(self.rfile.readline().decode().strip()).encode())


@pytest.fixture
def balancers(tmp_path):
    made = [Balancer(tmp_path / name) for name in ("one", "two")]
    for each in made:
        threading.Thread(target=each.serve_forever, args=(0.02,), daemon=True).start()
    yield made
    for each in made:
        each.shutdown()
        each.server_close()


def run(capsys, balancers, *words):
    code = haproxy.main([*words, *(word for each in balancers for word in ("--socket", each.path))])
    said = capsys.readouterr()
    return code, said.out + said.err


def test_a_drain_waits_for_the_sessions_of_every_balancer(capsys, balancers):
    balancers[1].sessions = [2, 2, 2, 1, 0]
    code, said = run(capsys, balancers, "drain", "shop/web1")
    assert code == 0 and said.count("DRAIN, 0 sessions") == 2
    assert all(each.heard == ["set server shop/web1 state drain"] for each in balancers) and balancers[1].sessions == [0]
    code, said = run(capsys, balancers, "ready", "shop/web1")
    assert code == 0 and said.count("UP, 0 sessions") == 2


def test_sessions_that_do_not_end_leave_the_server_ready(capsys, balancers):
    balancers[0].sessions = [1]
    code, said = run(capsys, balancers, "drain", "shop/web1", "--timeout", "0.2")
    assert code == 4 and "shop/web1 has 1 session after 0.2 s" in said and "now:  shop/web1 is ready again" in said and "next: give it longer" in said
    assert [each.states["web1"] for each in balancers] == ["UP", "UP"]


def test_one_balancer_that_refuses_undoes_the_others(capsys, balancers):
    balancers[1].refuses = ("drain",)
    code, said = run(capsys, balancers, "drain", "shop/web1")
    assert code == 4 and "Permission denied" in said and "level admin" in said and balancers[0].states["web1"] == "UP"
    balancers[1].refuses = ("drain", "ready")
    code, said = run(capsys, balancers, "drain", "shop/web1")
    assert code == 6 and f"may be drained in HAProxy at {balancers[1].path}" in said
    assert f"next: python -m weft.haproxy ready shop/web1 --socket {balancers[1].path}" in said


def test_the_last_server_is_drained_only_on_request(capsys, balancers):
    balancers[0].states["web2"] = "DOWN"
    code, said = run(capsys, balancers, "drain", "shop/web1")
    assert code == 3 and "no other server of shop is up" in said and "--last" in said and not balancers[0].heard
    assert run(capsys, balancers, "drain", "shop/web1", "--last")[0] == 0


def test_a_server_that_is_not_up_again_is_told(capsys, balancers):
    balancers[0].states["web1"], balancers[0].up = "DRAIN", "DOWN"
    code, said = run(capsys, balancers, "ready", "shop/web1", "--timeout", "0.2")
    assert code == 6 and "shop/web1 is DOWN after 0.2 s" in said and "is not drained any more" in said


@pytest.mark.parametrize("words, code, says", [
    (["drain", "shop/web9"], 3, "known: web1, web2"), (["drain", "shup/web1"], 3, "no backend 'shup'"), (["drain", "shop"], 2, "is not BACKEND/SERVER"),
    (["drain", "shop/web1; disable"], 2, "is not BACKEND/SERVER"), (["drain", "shop/web1", "--timeout", "nan"], 2, "number of seconds"),
    (["stop", "shop/web1"], 2, "invalid choice"),
])
def test_wrong_words_change_nothing(capsys, balancers, words, code, says):
    found, said = run(capsys, balancers, *words)
    assert found == code and says in said and not balancers[0].heard and "next: " in said and "Traceback" not in said


def test_a_socket_without_haproxy_is_told(capsys, tmp_path):
    assert haproxy.main(["show", "shop/web1", "--socket", str(tmp_path / "absent")]) == 3
    assert "HAProxy does not answer at" in capsys.readouterr().err
    assert haproxy.main(["show", "shop/web1", "--socket", "127.0.0.1:1"]) == 3
