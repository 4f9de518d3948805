"""The entry that a server loads: fixed, the same for every release. weft writes this file to the host as entry.wsgi
with the application's name and directory filled in, and never imports it itself.

The slot decides the release. Real paths replace the slot's links before the application is imported, so that a lazy
import or a data file of a process that still drains stays inside its own release.
"""

import configparser
import json
import os
import re
import sys
import time
import traceback

APP = "@APP@"
ROOT = "@ROOT@"


def _slot():
    """"a" or "b", from the daemon group's name or what uWSGI's vassal says; "" where there is neither (the import check).

    A virtualenv may hold PyPI's package mod_wsgi, which knows of no group of processes: only Apache's module does."""
    try:
        from mod_wsgi import process_group
    except ImportError:
        return os.environ.get("WEFT_SLOT", "")
    return process_group.rsplit("-", 1)[-1]


def _mark(slot, state, generation, text=""):
    """Leave word of this process for the engine. Best effort: a full disk must not stop a process that serves."""
    if not slot:
        return
    path = "%s/run/%s/%d" % (ROOT, slot, os.getpid())
    said = {"state": state, "generation": generation, "at": time.time(), "text": text[-8000:]}
    try:
        with open(path + ".tmp", "w") as handle:
            json.dump(said, handle)
        os.rename(path + ".tmp", path)
    except OSError:
        pass


def _pin(link, real):
    """Replace the slot's moving path by the real one wherever Python kept it at start-up."""
    def pinned(path):
        return real + path[len(link):] if path == link or path.startswith(link + "/") else path
    sys.path[:] = [pinned(path) for path in sys.path]
    for name in ("prefix", "exec_prefix", "executable"):
        setattr(sys, name, pinned(getattr(sys, name) or ""))
    for module in list(sys.modules.values()):
        place = getattr(module, "__file__", None)
        if isinstance(place, str) and place.startswith(link + "/"):
            module.__file__ = pinned(place)


def _environment(generation, release, record):
    """WEFT_SETTINGS, WEFT_RELEASE, WEFT_VERSION, and each setting as APP_SECTION_KEY."""
    os.environ["WEFT_RELEASE"] = record["release"]
    os.environ["WEFT_VERSION"] = record["version"]
    settings = os.path.join(generation, "settings.ini")
    if not os.path.exists(settings):
        return
    os.environ["WEFT_SETTINGS"] = settings
    parser = configparser.RawConfigParser()
    parser.optionxform = str
    parser.read(settings, encoding="utf-8")
    for section in parser.sections():
        for key, value in parser.items(section):
            name = re.sub(r"[^A-Z0-9]+", "_", ("%s_%s_%s" % (APP, section, key)).upper())
            os.environ[name] = value


def _check_layer(release):
    """A process that started while its slot was being pointed elsewhere must not serve: it has another layer."""
    path = os.path.join(release, "layer.txt")
    if os.path.exists(path):
        with open(path) as handle:
            layer = handle.read().strip()
        if layer and layer not in sys.path:
            raise RuntimeError("the dependencies in %s are not on sys.path" % layer)


def _import(release):
    with open(os.path.join(release, "entry.json")) as handle:
        said = json.load(handle)
    if said.get("callable"):
        import importlib
        module, _, name = said["callable"].partition(":")
        found = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        return found
    path = os.path.join(release, said["entry"])
    space = {"__name__": "_weft_application", "__file__": path}
    with open(path, "rb") as handle:
        exec(compile(handle.read(), path, "exec"), space)
    return space["application"]


def _load(slot):
    generation = os.environ.get("WEFT_CHECK_GENERATION", "") if not slot else "%s/slots/%s/generation" % (ROOT, slot)
    link = generation + "/release/venv"
    generation = os.path.realpath(generation)
    number = int(os.path.basename(generation))
    _mark(slot, "starting", number)
    try:
        release = os.path.realpath(generation + "/release")
        _pin(link, release + "/venv")
        with open(generation + "/record.json") as handle:
            record = json.load(handle)
        _check_layer(release)
        _environment(generation, release, record)
        found = _import(release)
        if not callable(found):
            raise TypeError("the WSGI application is not callable: %r" % (found,))
    except BaseException:
        _mark(slot, "failed", number, traceback.format_exc())
        raise
    _mark(slot, "ready", number)
    return found, record["release"]


_application, _release = _load(_slot())


def application(environ, start_response):
    """The application, and for those who ask on the host itself the name of the release that answers."""
    if not environ.get("WEFT_SHOW"):
        return _application(environ, start_response)

    def start(status, headers, *rest):
        return start_response(status, list(headers) + [("X-Weft-Release", _release)], *rest)

    return _application(environ, start)
