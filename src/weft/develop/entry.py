"""What Apache loads for `inv develop`: the entry of every deploy, around the working tree; and where that fails, the browser is told why.

Written to a directory that ends with the server, its path filled in; weft never imports it. Python 3.9 and the standard library.
"""

import importlib
import os
import sys
import traceback

ROOT = "@ROOT@"
_NEAR = ("localhost", "127.0.0.1", "[::1]")
_OURS = (ROOT + "/", "<frozen ", os.path.dirname(importlib.__file__) + "/")


def _told(error):
    """The traceback without the frames that lead into the application; of weft's own findings the text alone."""
    if getattr(error, "weft", ""):
        return error.weft
    said = traceback.TracebackException.from_exception(error)
    while said.stack and said.stack[0].filename.startswith(_OURS):
        del said.stack[0]
    return "".join(said.format())


def _near(environ):
    """Whether it is asked on this machine, and by its name: no page of another site may read a traceback through a name that leads here."""
    host = environ.get("HTTP_HOST", "")
    host = host if host.endswith("]") else host.rsplit(":", 1)[0]
    return environ.get("REMOTE_ADDR", "").startswith(("127.", "::1")) and (host in _NEAR or host.endswith(".localhost"))


def _answer(environ, start_response, text, *error):
    body = (text if _near(environ) else "The application is broken; the terminal of inv develop says why.\n").encode("utf-8", "backslashreplace")
    start_response("500 Internal Server Error", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body))),
                                                 ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")], *error)
    return [body]


def _broken(environ, start_response):
    """An exception that the application let through: to the log, and to the browser if nothing of another answer was sent."""
    text = _told(sys.exc_info()[1])
    print(text, file=environ["wsgi.errors"], end="", flush=True)
    return _answer(environ, start_response, text, sys.exc_info())


class _Parts:
    """An answer, whose error on the way is told likewise."""

    def __init__(self, answer, environ, start_response):
        self.answer, self.said = answer, (environ, start_response)

    def __iter__(self):
        try:
            yield from self.answer
        except Exception:
            yield from _broken(*self.said)

    def close(self):
        if hasattr(self.answer, "close"):
            self.answer.close()


def _load():
    path = ROOT + "/entry.wsgi"
    space = {"__name__": "_weft_entry", "__file__": path}
    try:
        with open(path, "rb") as handle:
            exec(compile(handle.read(), path, "exec"), space)
    except BaseException as error:
        text = _told(error)
        print(text, file=sys.stderr, end="", flush=True)
        return None, text
    return space["application"], ""


_application, _wrong = _load()


def application(environ, start_response):
    if _application is None:
        return _answer(environ, start_response, _wrong)
    try:
        return _Parts(_application(environ, start_response), environ, start_response)
    except Exception:
        return _broken(environ, start_response)
