"""TLS for a site that Apache serves: what an environment says of it, what a host lacks for it, and the directives.

weft names the files of certificate and key and keeps nothing of them. OpenSSL opens both to see that they belong together: Apache finds
a configuration good (`-t`) whose key is another certificate's, and ends when it is reloaded with it.
"""

from __future__ import annotations

import os
from pathlib import Path

from weft.record import record
from weft.typing import Any, Iterable

ASKED_BY_WEFT = "(%{HTTP_USER_AGENT} == 'weft' && -R '127.0.0.0/8')"
"""An expression of Apache's: weft itself asks, on the host."""


@record(frozen=True)
class Tls:
    """certificate, key: PEM files on the host, the certificate with its chain.  port: of HTTPS.  http2: offered beside HTTP/1.1.
    redirect: who asks plainly is sent to HTTPS."""

    certificate: str
    key: str
    port: int = 443
    http2: bool = True
    redirect: bool = True

    @property
    def modules(self) -> tuple[str, ...]:
        """Of Apache's."""
        return ("ssl", "http2") if self.http2 else ("ssl",)


def tls_of(said: Any) -> Any:
    """A Tls where there is one; what is no table stays as it is and is refused later. Raises TypeError for keys that are unknown."""
    return Tls(**said) if isinstance(said, dict) and said else None if said in ({}, None) else said


def lacks(tls: Tls, enabled: Iterable[str], mpm: str, how: str) -> list[tuple[str, str]]:
    """(what is missing, the command that provides it). enabled: Apache's modules that are loaded.  mpm: such as "event".  how: the next move
    where modules are absent, with {} for their names."""
    absent = [name for name in tls.modules if name not in enabled]
    if absent:
        return [(f"TLS needs Apache's module{'s' if len(absent) > 1 else ''} {' and '.join(absent)}", how.format(" ".join(absent)))]
    if tls.http2 and mpm == "prefork":
        return [("Apache runs mpm_prefork, which cannot serve HTTP/2",
                 "a2dismod mpm_prefork && a2enmod mpm_event && apache2ctl restart, or set `http2 = false` in [tls] of deploy/NAME.toml")]
    fault = _unfit(tls)
    return [(fault, "put the right files there, or correct [tls] in deploy/NAME.toml")] if fault else []


def _unfit(tls: Tls) -> str:
    """What is wrong with the two files, "" if nothing is."""
    gone = [path for path in (tls.certificate, tls.key) if not os.path.exists(path)]
    if gone:
        return f"{' and '.join(gone)}, which [tls] names, {'are' if len(gone) > 1 else 'is'} not on this host"
    import ssl  # with what it brings a tenth of what the engine loads; few sites need it
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.certificate, tls.key, password=lambda: "no passphrase is known")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"the key {tls.key} is not that of the certificate {tls.certificate}: Apache would end when it is reloaded"
        return f"OpenSSL does not take {tls.certificate} with {tls.key}, and no passphrase is asked for: {error.reason or error}"
    except OSError as error:
        return f"{tls.certificate} or {tls.key} cannot be read: {error.strerror}"
    return ""


def loads(tls: Tls | None, modules: Path) -> str:
    """For a private Apache: the modules that are not loaded yet."""
    return "".join(f"<IfModule !{name}_module>\n    LoadModule {name}_module {modules}/mod_{name}.so\n</IfModule>\n" for name in (tls.modules if tls else ()))


def secure(tls: Tls) -> str:
    """What makes a virtual host one of HTTPS."""
    return f"""\
    SSLEngine on
    SSLCertificateFile "{tls.certificate}"
    SSLCertificateKeyFile "{tls.key}"
    Protocols {'h2 http/1.1' if tls.http2 else 'http/1.1'}
"""


def away(tls: Tls, hostname: str) -> str:
    """What sends those who ask plainly to HTTPS. weft's own question on loopback is answered here; the traffic log leaves the others out."""
    port = "" if tls.port == 443 else f":{tls.port}"
    return f"""\
    # To HTTPS with everybody but weft's own question on this host.
    SetEnvIfExpr "!{ASKED_BY_WEFT}" WEFT_AWAY=1
    <If "reqenv('WEFT_AWAY') == '1'">
        Redirect permanent / https://{hostname}{port}/
    </If>
"""
