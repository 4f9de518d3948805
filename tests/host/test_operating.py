"""Logs, a command and undeploy on a real private Apache and a real virtualenv."""

import time

import pytest

pytestmark = pytest.mark.slow


def lines(host, **words):
    code, last, events = host.call("logs", **words)
    assert code == 0, last
    return [each["text"] for each in events if each["event"] == "line"]


def test_an_applications_traceback_is_in_its_logs_and_it_can_be_taken_off_and_brought_back(host):
    code, last = host.deploy(*host.release("1.0", inside='if environ["PATH_INFO"] == "/boom": raise KeyError("sku")'))
    assert code == 0, last
    assert host.get("/boom")[0] == 500
    def both(said):
        return any("KeyError: 'sku'" in text for text in said) and any(text.startswith("500 slot ") for text in said)
    end = time.monotonic() + 60
    while not both(said := lines(host, errors=True)) and time.monotonic() < end:
        time.sleep(0.1)
    assert both(said), said
    code, last, events = host.call("run", argv=["python", "-c", "import shop, sys, os; print(shop.VERSION, os.environ['SHOP_SHOP_COLOUR']); sys.exit(5)"])
    assert (code, last["result"]["exit"], events[0]["text"]) == (0, 5, "1.0 red\n"), last
    assert "stopped the server" in host.ok("undeploy")["did"]
    assert not host.root.exists() and not (host.prefix / "etc/httpd/httpd.conf").exists()
    with pytest.raises(OSError):
        host.get()
    host.ok("setup")
    assert host.deploy(*host.release("1.1"))[0] == 0 and host.version() == "1.1"
    host.call("undeploy", purge=True)
    host.ok("setup")
