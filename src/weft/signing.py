"""SSH signatures by OpenSSH's own `ssh-keygen -Y`: made over standard input, checked against a file of allowed signers.

A namespace says what a signature is for, so that one that was made over an index never counts for a manifest.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from weft.errors import Refused
from weft.record import record
from weft.typing import TYPE_CHECKING, Sequence

if TYPE_CHECKING:
    import subprocess  # where it is used: most looks at a host check no signature (ADR 23)

RELEASE, INDEX = "weft-release@v1", "weft-index@v1"
LARGEST = 16 << 10
"""Characters that a signature may have: RSA's and a certificate's fit many times."""
_ARMOUR = r"-----BEGIN SSH SIGNATURE-----\n[A-Za-z0-9+/=\n]+\n-----END SSH SIGNATURE-----\n?"
_GOOD = r"^Good \"\S+\" signature for (.+) with \S+ key (\S+)$"
_ABSENT = "apt-get install -y openssh-client"


@record(frozen=True)
class Signers:
    """allowed: a file as ssh-keygen(1) has it under ALLOWED SIGNERS.  revoked: a KRL or a list of public keys, None without."""

    allowed: Path
    revoked: Path | None = None


@record(frozen=True)
class Signed:
    """Who signed, and with which key (its SHA256 fingerprint)."""

    by: str
    key: str


def sign(payload: bytes, key: str, namespace: str) -> str:
    """The signature, armoured. key: path of a private key, or of a public one whose private half an agent has.

    Nothing is asked: a key with a passphrase belongs in an agent. Raises Refused.
    """
    done = _run(["sign", "-f", key, "-n", namespace], payload, {"SSH_ASKPASS_REQUIRE": "never"})
    if done.returncode or not re.fullmatch(_ARMOUR, done.stdout):
        lost = "No such file" in done.stderr and os.path.isfile(key)
        raise Refused(f"the signing key {key} does not sign: {'it is no key that OpenSSH reads' if lost else _why_not(done.stderr)}", _unlock(done.stderr, key))
    return done.stdout


def _why_not(said: str) -> str:
    if "passphrase" in said:
        return "it has a passphrase, and no agent holds it"
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith("Signing data")]
    return lines[-1].strip() if lines else "ssh-keygen gives no reason"


def _unlock(said: str, key: str) -> str:
    if "passphrase" in said or "No private key" in said:
        return f"ssh-add {key[:-4] if key.endswith('.pub') else key}"
    return "set signing_key in [tool.weft] to an SSH key, private, or public with the private one in your agent"


def verify(payload: bytes, signature: str, namespace: str, signers: Signers, what: str, at: str = "") -> Signed:
    """Raises Refused, naming `what` and the reason, unless an allowed signer signed exactly this for this purpose.

    at: the time for which a key must be valid, ISO 8601 UTC; "" for now. A revoked key is never good, whatever the time.
    """
    if not signature:
        raise _untrusted(what, "it is not signed", "")
    if len(signature) > LARGEST or not re.fullmatch(_ARMOUR, signature):
        raise _untrusted(what, "its signature is not an SSH signature", "")
    import tempfile
    with tempfile.TemporaryDirectory(prefix="weft-verify-") as folder:
        kept = Path(folder, "signature")
        kept.write_text(signature, encoding="ascii")
        when = [f"-Overify-time={re.sub('[^0-9]', '', at)}Z"] if at else []
        common = [*when, "-s", str(kept), "-f", str(signers.allowed)]
        return _checked(payload, namespace, common, signers, what)


def _checked(payload: bytes, namespace: str, common: Sequence[str], signers: Signers, what: str) -> Signed:
    found = _run(["find-principals", *common], b"")
    names = found.stdout.splitlines() if not found.returncode else []
    if not names:
        raise _untrusted(what, *_not_found(found.stderr, signers))
    for name in names:
        words = ["verify", *common, "-n", namespace, "-I", name]
        done = _run(words, payload)
        good = re.search(_GOOD, done.stdout, re.M)
        if done.returncode or not good:
            continue
        if signers.revoked and _run([*words, "-r", str(signers.revoked)], payload).returncode:
            raise _untrusted(what, f"the key {good[2]} of {name} is revoked", f"it must be signed again, by a key that {signers.allowed} allows")
        return Signed(name, good[2])
    raise _untrusted(what, *_not_verified(done.stderr, names[-1], namespace))


def _not_found(said: str, signers: Signers) -> tuple[str, str]:
    late = re.search(r"key has expired: verify time \S+ > valid-before (\S+)", said)
    early = re.search(r"key is not yet valid: verify time \S+ < valid-after (\S+)", said)
    if late:
        return f"its key was valid until {late[1]} only", "it must be signed again, by a key that is valid"
    if early:
        return f"its key is valid from {early[1]} on only", "it must be signed by a key that is valid"
    return f"{signers.allowed} does not allow the key that signed it", \
        "if that key is a release manager's, add it to deploy/allowed_signers and run `fab setup`"


def _not_verified(said: str, name: str, namespace: str) -> tuple[str, str]:
    if "incorrect signature" in said:
        return f"these are not the bytes that {name} signed", ""
    if "namespace" in said:
        return f"{name} did not sign it as {namespace}, or may not", ""
    return _why_not(said.replace("Could not verify signature.", "")), ""


def _untrusted(what: str, why: str, hint: str) -> Refused:
    return Refused(f"{what} is not trusted: {why}", hint or "compare the store with the one it was published to; do not deploy it")


def _run(words: Sequence[str], payload: bytes, more: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """ssh-keygen -Y, without a terminal, so that it asks nobody."""
    import subprocess
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC", **(more or {})}
    try:
        done = subprocess.run(["ssh-keygen", "-Y", *words], input=payload, capture_output=True, timeout=60, check=False,
                              env=environment, start_new_session=True)
    except FileNotFoundError:
        raise Refused("signatures cannot be checked or made: ssh-keygen is not installed", _ABSENT) from None
    except subprocess.TimeoutExpired:
        raise Refused("ssh-keygen gave no answer in 60 s", "look at your SSH agent") from None
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode("utf-8", "replace"),
                                       done.stderr.decode("utf-8", "replace"))
