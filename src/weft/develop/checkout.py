"""What `inv develop` serves: the working tree, and the environment that its settings come from."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from weft.config import ini, load
from weft.config.keys import ENVIRONMENT
from weft.errors import Refused, UsageError
from weft.host import secrets as files
from weft.host.layout import Layout
from weft.rollout.secrets import Secrets, sources
from weft.rollout.site import site
from weft.secret import Hidden, Secret, revealed
from weft.servers import Site, parse_site

USUAL = "development"
"""The environment that is taken where nobody names one."""


@dataclass(frozen=True)
class Checkout:
    """root: the project.  env: the environment's name, "" where there is none for development.  site: of the engine's protocol, as that environment says it.
    python: what it says the application runs on, "" for nothing.  entry: what a release's entry.json would say."""

    root: Path
    env: str
    site: Site
    python: str
    entry: dict[str, str]
    defaults: Path | None
    extras: tuple[str, ...]
    version_file: str
    secrets: Secrets

    @property
    def place(self) -> Path:
        """What stands for / of a host: the virtualenv, and below etc/ this developer's own drop-ins. It stays."""
        return self.root / ".weft" / "develop"

    @property
    def drop_ins(self) -> Path:
        return Layout(self.site.app, str(self.place)).drop_ins

    @property
    def said(self) -> str:
        """Where the settings come from, for people."""
        own = [str(self.defaults.relative_to(self.root))] if self.defaults else []
        named = f"deploy/{self.env}.toml" if self.env else f"no environment (there is no deploy/{USUAL}.toml, and no single local one)"
        return f"settings of {', '.join([*own, named])}, variant {self.site.variant}"


def read(root: Path, env: str = "", known: Checkout | None = None) -> Checkout:
    """env: "" for the one that is for development.  known: what was read before, whose secrets are not asked for again. Raises UsageError, Refused."""
    from weft.release import observe
    config = observe.configured(root)
    layer = _environment(root, env)
    said = load.check(config.path, {}, ENVIRONMENT, "") if layer is None else layer
    said.values.update({"name": said.values.get("name", USUAL), "transport": "local"})
    found = sources(said)
    kept = known.secrets if known and known.secrets.sources == found else Secrets(found, root)
    entry = {"callable": config["callable"]} if config["callable"] else {"entry": str(root / config["entry"])}
    return Checkout(root, layer["name"] if layer else "", parse_site(config["name"], site(said, config["name"]), ""),
                    said["python"] if said.origin("python") != "default" else "", entry, root / config["settings"] if config["settings"] else None,
                    tuple(config["extras"]), config["version_file"], kept)


def _environment(root: Path, name: str) -> Any:
    """The named one, else `development`, else the only one that is local; None rather than one that is for other machines."""
    known = load.environments(root)
    if name or USUAL in known:
        return load.environment(root, name or USUAL)
    local = [layer for layer in (load.environment(root, each) for each in known) if layer["transport"] == "local"]
    if len(local) > 1:
        raise UsageError("which environment?", f"add --env NAME, or write deploy/{USUAL}.toml; known: {', '.join(known)}")
    return local[0] if local else None


def settings(checkout: Checkout) -> tuple[str | None, Hidden]:
    """The effective ini as a deploy would render it, None where there are no settings; and what hides its secrets. Raises Refused."""
    base = _text(checkout.defaults) if checkout.defaults else None
    if checkout.defaults and base is not None:
        ini.parse(base, str(checkout.defaults))  # names the file, where a deploy can name the release only
    drop_ins = [(str(path), _text(path)) for path in sorted(checkout.drop_ins.glob("*.ini"))]
    last = _secrets(checkout)
    hidden = Hidden(value.reveal() for values in last.values() for value in values.values())
    if base is None and not checkout.site.settings and not drop_ins and not last:
        return None, hidden
    return ini.render(base or "", checkout.site.settings, drop_ins, checkout.site.variant, revealed(last))[0], hidden


def _secrets(checkout: Checkout) -> dict[str, dict[str, Secret]]:
    """From the developer's machine, and those of files from below `place`, as on a host under a prefix."""
    layout = Layout(checkout.site.app, str(checkout.place))
    return files.gather(layout, replace(checkout.site, prefix=str(checkout.place)), checkout.secrets.wish().get("secrets", {}))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}", "write it, or correct `settings` in [tool.weft]") from None
    except UnicodeDecodeError:
        raise Refused(f"{path} is not UTF-8", "save it as UTF-8") from None


def record(checkout: Checkout) -> str:
    """What a generation's record.json would say of the release."""
    from weft.release import version
    places = version.places(checkout.root, checkout.version_file)
    text = places[0].text if places and places[0].text else "0"
    return json.dumps({"release": f"{text}-{USUAL}", "version": text})
