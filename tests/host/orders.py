"""Orders of the model, given to a light host: what is sent, what is there to see afterwards, and how it compares with the model."""

import json
import socket
from pathlib import Path

from tests.host.light_host import make_release
from tests.host.model import CODES, ORDERS, Host
from tests.host.zygote import Zygote
from weft.host import fingerprint

SINCE_BOOT = 1e6
VERSIONS = tuple(f"1.{n}" for n in range(9))
COLOURS = {version: f"colour-{version}" for version in VERSIONS}
RELEASES = {version: make_release(version, COLOURS[version], dependency=f"2.{int(version[2:]) // 3}") for version in VERSIONS}
NAMES = {release.id: version for version, (release, _content) in RELEASES.items()}


def fresh():
    return Host(COLOURS)


class Operator:
    """Somebody with an engine of his own, so that two can give orders at once. lock: the fleet's, under which all are given."""

    def __init__(self, host, name):
        self.lock = None
        self.host, self.by, self.zygote = host, f"{name}@{socket.gethostname()}", Zygote({"SUDO_USER": name})

    def give(self, order, model, **fault):
        self.start(order, model, **fault)
        return self.finish()

    def start(self, order, model, **fault):
        clock = {"clock": SINCE_BOOT + model.clock} if self.lock else {"ahead": model.clock}  # what goes by beats is not to go by how quick this machine is
        fault = {**clock, "boot": model.boot, "python": "3.11", **fault}
        argv = ["--prefix", str(self.host.prefix)]
        verb, *words = order
        if verb in ("status", "recover", "keep-edit"):
            return self.zygote.start([*argv, verb, "shop", "--json"], **fault)
        said, blobs = getattr(self, verb)(*words)
        said = {**said, **({"lock": self.lock} if self.lock and verb in ORDERS else {})}
        self.zygote.start(argv, {"protocol": 1, "verb": "confirm" if verb == "hold" else verb, "app": "shop", "by": self.by, "site": self.host.site, **said}, blobs, **fault)

    def finish(self):
        done = self.zygote.finish()
        if isinstance(done["last"].get("error"), str):  # of a command in words
            done["last"] = {"error": done["last"]}
        assert done["code"] in CODES or done["code"] == -9, done
        assert done["code"] <= 0 or done["last"]["error"]["message"] and done["last"]["error"]["effect"], done
        return done

    def close(self):
        self.zygote.close()

    def stage(self, version, base):
        release, content = RELEASES[version]
        files = [d for d in sorted(content) if not (self.host.root / "cache" / d).exists()]
        return {"release": release.to_json(), "base": base, "files": [{"sha256": d, "size": len(content[d])} for d in files]}, [content[d] for d in files]

    def activate(self, generation, base):
        return {"generation": generation, "base": base}, ()

    def rollback(self, to, base):
        return {"to": to, "base": base}, ()

    def confirm(self, generation):
        return {"generation": generation}, ()

    revert = confirm

    def hold(self, generation):
        return {"generation": generation, "hold": True}, ()

    def observe(self, version=""):
        return {"release": RELEASES[version][0].to_json()} if version else {}, ()

    def verify(self):
        return {}, ()


def on_disk(host):
    """As `Host.seen` of the model has it."""
    trial = json.loads((host.state / "trial.json").read_text()) if (host.state / "trial.json").exists() else {}
    return {"live": host.live(), "trial": (trial["generation"], "held" in trial) if trial else None,
            "generations": {n: (NAMES.get(r["release"], ""), r["status"]) for n, r in host.records().items()}}


def beats(host):
    """When the fleet's lock was taken here, and when it was last heard of."""
    return [json.loads(path.read_text())["at"] if path.exists() else 0 for path in (host.state / "fleet-lock.json", host.state / "fleet-beat.json")]


def alike(host, model, disk):
    """Whether what is on the disk is what the model has, hand edits and what was kept of them included."""
    if disk != model.seen():
        return False
    drop_ins = sorted((host.prefix / "etc/shop.d").glob("*.ini"))
    kept_edit = drop_ins[-1].read_text().split("colour = ")[1].strip() if drop_ins else ""
    return kept_edit == model.kept_edit and edited(host) == set(model.edited)


def edited(host):
    """Generations whose settings are not what their record says."""
    found = set()
    for number, record in host.records().items():
        settings = host.root / "generations" / str(number) / "settings.ini"
        if settings.exists() and not fingerprint.same(host.state, record["settings"], settings.read_bytes()):
            found.add(number)
    return found


def installed(host):
    return {NAMES[p.name] for p in (host.root / "releases").iterdir() if p.name in NAMES and (p / "SEAL").exists()}


def cached(host):
    """Version -> status, of what the host can install by itself."""
    found = {}
    for path in (host.state / "manifests").glob("*.json"):
        release = RELEASES[NAMES[path.stem]][0]
        if all((host.root / "cache" / a.sha256).exists() for a in release.for_host()):
            found[str(release.version)] = json.loads(path.read_text()).get("status", "")
    return found


def in_slots(host):
    return {int(Path(host.root / "slots" / slot / "generation").resolve().name) for slot in "ab"}


def forget(model, gone):
    for number in gone:
        del model.generations[number]
        model.edited.pop(number, None)


def follow(host, model):
    """Take over what the model leaves open: what lies there installed or cached."""
    model.installed, model.cached = installed(host), cached(host)


def pruned(host, model):
    """After a confirmation: all that must stay is there, and all the rest is gone."""
    gone = set(model.generations) - set(host.records())
    must, live = model.must_stay(), model.live
    assert not gone & must, f"pruned {gone & must}, which must stay: {model}"
    left = {n for n in set(model.generations) - gone - must - in_slots(host) if n < live}
    assert not left, f"not pruned: {left}: {model}"
    good = {model.generations[n].version for n in gone if model.generations[n].status == "good"}
    forget(model, gone)
    there, kept = installed(host), cached(host)
    assert there == {g.version for n, g in model.generations.items() if n}, f"installed are {there}: {model}"
    lost = {v for v in good - there if kept.get(v) != "good"}
    assert not lost or sum(status == "good" for v, status in kept.items() if v not in there) >= 5, f"not in the cache any more: {lost}"


def users(host, *models):
    """They get one whole release, that of one of these models."""
    status, body = host.get()
    assert body["version"] in {m.version for m in models}, f"users get {status} {body}, not one of {[m.version for m in models]}: {models[0]}"
    if body["version"]:
        assert status == 200 and body["lazy_version"] == body["version"], body
        colours = {colour for m in models if m.version == body["version"] for colour in m.shown()}
        assert any(f"colour = {colour}\n" in body["settings"] for colour in colours), f"users get {body}, not one of {colours}: {models[0]}"
    else:
        assert status == 503, body


def same(host, model, tampered=(), thorough=True):
    """Disk and users are as the model has them, and nothing else is wrong. tampered: releases that somebody has changed. thorough: file by file."""
    assert on_disk(host) == model.seen(), f"on the disk {on_disk(host)}, expected {model.seen()}"
    expected = {f"generation {n} is not whole" for n in model.edited}
    odd = [each for each in (host.faults() if thorough else ()) if each not in expected and each.split(":")[0] not in tampered]
    assert not odd, odd
    users(host, model)
