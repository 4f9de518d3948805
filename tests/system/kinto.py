"""Kinto as a team would keep it: the sdist of a version from the package index, unpacked into a repository of its own, with
weft's few files beside it."""

import shutil
import subprocess
import sys
import tarfile

OLD, NEW = "26.4.0", "26.5.0"

WSGI = '''\
import configparser
import logging.config
import os

from kinto import main

path = os.environ["WEFT_SETTINGS"]
logging.config.fileConfig(path)
config = configparser.ConfigParser()
config.read(path)
application = main(config.items("DEFAULT"), **dict(config.items("app:main")))
'''

INI = '''\
# Kinto's own settings, as its documentation has them.
[app:main]
use = egg:kinto
kinto.project_name = kinto
kinto.storage_backend = kinto.core.storage.memory
kinto.storage_url =
kinto.cache_backend = kinto.core.cache.memory
kinto.cache_url =
kinto.permission_backend = kinto.core.permission.memory
kinto.permission_url =
kinto.userid_hmac_secret = not-a-secret-in-a-test
kinto.bucket_create_principals = system.Authenticated
multiauth.policies = basicauth
multiauth.policy.basicauth.use = kinto.core.authentication.BasicAuthAuthenticationPolicy

[loggers]
keys = root

[handlers]
keys = console

[formatters]
keys = plain

[logger_root]
level = WARNING
handlers = console

[handler_console]
class = StreamHandler
args = (sys.stderr,)
level = NOTSET
formatter = plain

[formatter_plain]
format = %(levelname)s %(name)s %(message)s
'''

TOOL = '''
[tool.weft]
name = "kinto"
entry = "wsgi/kinto.wsgi"
settings = "etc/kinto.ini"
artifacts = "../artifacts"
changelog = "CHANGES"
extras = ["postgresql"]
test = ["python", "-m", "compileall", "-q", "kinto"]
'''

SETTINGS = '''
[settings."app:main"]
"kinto.storage_backend" = "kinto.core.storage.postgresql"
"kinto.storage_url" = "{url}"
"kinto.permission_backend" = "kinto.core.permission.postgresql"
"kinto.permission_url" = "{url}"
'''


def sdist(version, folder):
    """The real sdist from the package index."""
    found = list(folder.glob(f"kinto-{version}.tar.gz"))
    if not found:
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary=kinto", "-d", str(folder), f"kinto=={version}"],
                       check=True, stderr=subprocess.DEVNULL, timeout=300)
    return folder / f"kinto-{version}.tar.gz"


def unpack(version, folder, project):
    """Replace what Kinto ships in the project's tree by that of `version`; our own files stay."""
    for old in project.iterdir():
        if old.name not in (".git", "deploy", "wsgi", "etc", "CHANGES", "fabfile.py", "tasks.py"):
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    with tarfile.open(sdist(version, folder)) as archive:
        archive.extractall(project.parent, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))  # came with 3.11.4
    shutil.copytree(project.parent / f"kinto-{version}", project, dirs_exist_ok=True)
    shutil.rmtree(project.parent / f"kinto-{version}")
    (project / "PKG-INFO").unlink(missing_ok=True)
    text = (project / "pyproject.toml").read_text()
    # Its backend does not fill in the dynamic readme, and `twine check --strict` wants one.
    assert 'dynamic = ["version", "readme"]' in text
    (project / "pyproject.toml").write_text(text.replace('dynamic = ["version", "readme"]', 'dynamic = ["version"]\nreadme = "README.rst"') + TOOL)
    changes = project / "CHANGES"
    before = changes.read_text() if changes.exists() else "# Kinto, as we run it\n\n"
    head, _, rest = before.partition("\n\n")
    changes.write_text(f"{head}\n\n## [{version}]\n\n- Kinto {version}.\n\n{rest}")


def write_ours(project):
    """The entry, the settings and the two task files."""
    for name, text in (("wsgi/kinto.wsgi", WSGI), ("etc/kinto.ini", INI), ("tasks.py", "from weft.tasks.release import ns\n"),
                       ("fabfile.py", "from weft.tasks.deploy import ns\n")):
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text)
