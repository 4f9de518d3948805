"""A small project for `inv develop`, whose build backend is a file of its own: nothing is fetched."""

from pathlib import Path
from textwrap import dedent

BACKEND = '''
import os, zipfile
from pathlib import Path


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    """PEP 660: a wheel that puts src/ on the path."""
    files = {"shop-dev.pth": f"{Path('src').resolve()}\\n", "shop-1.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: shop\\nVersion: 1.0\\n",
             "shop-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nGenerator: tree\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"}
    files["shop-1.0.dist-info/RECORD"] = "".join(f"{name},,\\n" for name in [*files, "shop-1.0.dist-info/RECORD"])
    with zipfile.ZipFile(os.path.join(wheel_directory, "shop-1.0-py3-none-any.whl"), "w") as out:
        for name, text in files.items():
            out.writestr(name, text)
    return "shop-1.0-py3-none-any.whl"
'''
APPLICATION = '''
import configparser, json, os, sys, time
from pathlib import Path

WORD = "first"
TEMPLATE = Path(__file__).with_name("page.html").read_text().strip()


def application(environ, start_response):
    if environ["PATH_INFO"] == "/oops":
        raise KeyError("sku")
    if environ["PATH_INFO"] == "/halfway":
        return halfway(start_response)
    ini = configparser.RawConfigParser()
    ini.read(os.environ["WEFT_SETTINGS"], encoding="utf-8")
    print("asked for Grüße, with", ini.get("page", "password", fallback="none"), file=sys.stderr, flush=True)
    start_response("200 OK", [("Content-Type", "application/json")])
    said = {"word": WORD, "template": TEMPLATE, "page": dict(ini.items("page")), "greeting": os.environ.get("SHOP_PAGE_GREETING"), "pid": os.getpid(),
            "version": os.environ["WEFT_VERSION"], "cwd": os.getcwd(), "leak": os.environ.get("OF_MY_SHELL"), "uid": os.getuid(), "prefix": sys.prefix}
    return [json.dumps(said).encode()]


def halfway(start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield from ()
    raise LookupError("before the first byte")
'''
FILES = {
    "pyproject.toml": """
        [build-system]
        requires = []
        build-backend = "backend"
        backend-path = ["_build"]
        [project]
        name = "shop"
        version = "1.0"
        [tool.weft]
        callable = "shop.app:application"
        settings = "etc/shop.ini"
        """,
    "tasks.py": "from weft.tasks.release import ns\n", "etc/shop.ini": "[page]\ngreeting = hello\ngreeting[DEVELOPMENT] = hello developer\ncolour = red\n",
    "deploy/development.toml": """
        transport = "local"
        server = "express"
        prefix = ".weft/local"
        hosts = ["localhost"]
        [settings.page]
        colour = "blue"
        [secrets.page]
        password = {env = "SHOP_PASSWORD"}
        """,
    "deploy/production.toml": 'hosts = ["web1.example.org"]\n[settings.page]\ncolour = "production"\n',
    "src/shop/__init__.py": "", "src/shop/page.html": "<p>one</p>\n", "src/shop/app.py": APPLICATION, "_build/backend.py": BACKEND}


def make(root: Path, **more: str) -> Path:
    """more: text by path, with __ for / and _DOT_ for a dot; "" leaves a file out."""
    files = {**FILES, **{name.replace("__", "/").replace("_DOT_", "."): text for name, text in more.items()}}
    for name, text in files.items():
        if text or name.endswith(".py"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(dedent(text), encoding="utf-8")
    return root
