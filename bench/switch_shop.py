"""The application that switches.py deploys: every answer names its release in a header and in the body, each time from another place.

switches.py puts this file into a wheel as shop/app.py, beside shop/late.py and shop/data.txt of the same version. A release whose files
are replaced under a running process, or a process that imports from another release's directory, gives itself away.
"""

import importlib
import os
import sys
import threading
import time

from shop import VERSION

PLACE = os.path.dirname(os.path.abspath(__file__))
LINE = 4096
_importing = threading.Lock()


def late():
    """The version of a module that is imported just now, however often it was before."""
    with _importing:
        sys.modules.pop("shop.late", None)
        return importlib.import_module("shop.late").VERSION


def data():
    """The version that a data file beside this module names just now."""
    with open(os.path.join(PLACE, "data.txt"), encoding="ascii") as handle:
        return handle.read().strip()


def application(environ, start_response):
    path, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
    if path == "/download":
        return download(start_response, int(query))
    more = ""
    if environ["REQUEST_METHOD"] == "POST":
        more = " %d" % received(environ["wsgi.input"])
    if path == "/slow":
        time.sleep(float(query))
    words = (VERSION, late(), data()) if path in ("/slow", "/late") else (VERSION,) * 3
    body = (" ".join(words) + more + "\n").encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), ("X-Version", VERSION)])
    return [body]


def received(stream):
    """The bytes of an upload."""
    count = 0
    while block := stream.read(1 << 16):
        count += len(block)
    return count


def download(start_response, lines):
    """A line every tenth of a second, each with the version from another place."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(lines * LINE)), ("X-Version", VERSION)])
    for number in range(lines):
        version = (VERSION, late(), data())[number % 3] if number % 5 == 0 else VERSION
        yield version.encode().ljust(LINE - 1, b".") + b"\n"
        time.sleep(0.1)
