"""Keys of hosts, and the lines that known_hosts has for them."""

from paramiko import Ed25519Key

from weft.testing.fleet import keygen


def pair(place):
    """Two keys."""
    for name in "ab":
        keygen(place / name)
    return [Ed25519Key(filename=str(place / name)) for name in "ab"]


def line(name, key):
    return f"{name} {key.get_name()} {key.get_base64()}\n"
