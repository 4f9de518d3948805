"""The same application on the same hosts by other tools, each written as its own documentation has it, for bench/rollout.py.

Each makes a directory a release, brings wheels and settings there, makes a virtualenv, installs from the wheels, moves the link `current`, reloads Apache
gracefully and asks the site once. Host keys are known to all of them; connections may be kept and shared as far as the tool does that by itself.
"""

import json
import shutil
import subprocess
from pathlib import Path

from tests.system.hosts_init import GATEWAY

ROOT = "/srv/app"
ASKED = "curl -fsS --retry 5 --retry-connrefused -o /dev/null -H 'Host: app.example.org' http://127.0.0.1/health"
SITE = f"""\
<VirtualHost *:80>
  ServerName app.example.org
  WSGIDaemonProcess app processes=2 threads=8 python-home={ROOT}/current/venv
  WSGIProcessGroup app
  WSGIApplicationGroup %{{GLOBAL}}
  WSGIScriptAlias / {ROOT}/current/app.wsgi
  SetEnv APP_SETTINGS {ROOT}/current/app.ini
  <Directory {ROOT}>
    Require all granted
  </Directory>
</VirtualHost>
"""


class Peer:
    """files: wheels/VERSION/*.whl, app.ini and app.wsgi, where the tool is run. command(verb, version): an argument vector. returns: whether a rollback leaves
    what it leads away from, so that one can go back to it."""

    name = ""
    returns = True
    needs = ()

    def __init__(self, place, fleet, tools):
        self.place, self.fleet, self.tools = Path(place), fleet, tools
        self.write()

    def write(self):
        raise NotImplementedError

    def command(self, verb, version):
        raise NotImplementedError

    @property
    def addresses(self):
        return [host.address for host in self.fleet.hosts]


class PlainFabric(Peer):
    """https://docs.fabfile.org: a Group runs on all hosts at once."""

    name = "Fabric"

    def write(self):
        (self.place / "fabfile.py").write_text(f'''\
from glob import glob

from fabric import ThreadingGroup, task

HOSTS = {self.addresses}
ROOT = {ROOT!r}


def group():
    return ThreadingGroup(*HOSTS, user="root", connect_kwargs={{"key_filename": {str(self.fleet.key)!r}}})


def serve(hosts, release):
    hosts.run(f"ln -sfn {{release}} {{ROOT}}/current && apachectl graceful", hide=True)
    hosts.run({ASKED!r}, hide=True)


@task
def deploy(c, version):
    release, hosts = f"{{ROOT}}/releases/{{version}}", group()
    hosts.run(f"mkdir -p {{release}}/wheels", hide=True)
    for wheel in sorted(glob(f"wheels/{{version}}/*.whl")):
        hosts.put(wheel, f"{{release}}/wheels/")
    hosts.put("app.ini", f"{{release}}/app.ini")
    hosts.put("app.wsgi", f"{{release}}/app.wsgi")
    hosts.run(f"python3 -m venv {{release}}/venv", hide=True)
    hosts.run(f"{{release}}/venv/bin/pip install -q --no-index --find-links {{release}}/wheels hello=={{version}}", hide=True)
    serve(hosts, release)


@task
def rollback(c, version):
    serve(group(), f"{{ROOT}}/releases/{{version}}")
''')

    def command(self, verb, version):
        return [self.tools / "fab", "rollback" if verb == "rollback" else "deploy", "--version", version]


class Pyinfra(Peer):
    """https://docs.pyinfra.com: operations that look first and change what differs."""

    name = "pyinfra"

    def write(self):
        known = f'"ssh_user": "root", "ssh_key": {str(self.fleet.key)!r}, "ssh_known_hosts_file": {str(self.fleet.known_hosts)!r}'
        (self.place / "inventory.py").write_text("hosts = [" + ", ".join(f'("{each}", {{{known}}})' for each in self.addresses) + "]\n")
        (self.place / "deploy.py").write_text(f'''\
from pyinfra import host
from pyinfra.operations import files, pip, server

version = str(host.data.version)
release = f"{ROOT}/releases/{{version}}"
files.directory(path=f"{{release}}/wheels")
files.sync(src=f"wheels/{{version}}", dest=f"{{release}}/wheels")
files.put(src="app.ini", dest=f"{{release}}/app.ini")
files.put(src="app.wsgi", dest=f"{{release}}/app.wsgi")
pip.venv(path=f"{{release}}/venv", python="python3")
pip.packages(packages=[f"hello=={{version}}"], virtualenv=f"{{release}}/venv", extra_install_args=f"--no-index --find-links {{release}}/wheels")
current = files.link(path="{ROOT}/current", target=release)
server.shell(name="reload Apache", commands=["apachectl graceful"], _if=current.did_change)
server.shell(name="ask the site", commands=[{ASKED!r}])
''')

    def command(self, verb, version):
        return [self.tools / "pyinfra", "-y", "inventory.py", "deploy.py", "--data", f"version={version}"]


class Ansible(Peer):
    """https://docs.ansible.com: modules, a handler, and the settings that its pages on speed name (forks, pipelining)."""

    name = "Ansible"

    def write(self):
        (self.place / "ansible.cfg").write_text(f"""\
[defaults]
inventory = inventory.ini
forks = 32
private_key_file = {self.fleet.key}
remote_user = root
interpreter_python = /usr/bin/python3
gathering = explicit
[ssh_connection]
pipelining = True
ssh_args = -o ControlMaster=auto -o ControlPersist=60s -o UserKnownHostsFile={self.fleet.known_hosts}
control_path_dir = {self.place}/cp
""")
        (self.place / "inventory.ini").write_text("[web]\n" + "\n".join(self.addresses) + "\n")
        (self.place / "deploy.yml").write_text(f"""\
- hosts: web
  vars:
    release: "{ROOT}/releases/{{{{ version }}}}"
  tasks:
    - ansible.builtin.file:
        path: "{{{{ release }}}}/wheels"
        state: directory
    - ansible.builtin.copy:
        src: "wheels/{{{{ version }}}}/"
        dest: "{{{{ release }}}}/wheels/"
    - ansible.builtin.copy:
        src: "{{{{ item }}}}"
        dest: "{{{{ release }}}}/{{{{ item }}}}"
      loop: [app.ini, app.wsgi]
    - ansible.builtin.pip:
        name: "hello=={{{{ version }}}}"
        virtualenv: "{{{{ release }}}}/venv"
        virtualenv_command: /usr/bin/python3 -m venv
        extra_args: "--no-index --find-links {{{{ release }}}}/wheels"
    - ansible.builtin.file:
        src: "{{{{ release }}}}"
        dest: {ROOT}/current
        state: link
      notify: reload
    - ansible.builtin.meta: flush_handlers
    - ansible.builtin.uri:
        url: http://127.0.0.1/health
        headers:
          Host: app.example.org
      register: answer
      until: answer.status == 200
      retries: 5
      delay: 1
  handlers:
    - name: reload
      ansible.builtin.command: apachectl graceful
""")

    def command(self, verb, version):
        return [self.tools / "ansible-playbook", "deploy.yml", "-e", json.dumps({"version": version})]


class Capistrano(Peer):
    """https://capistranorb.com: its own flow of directories and links, with the steps of Python hooked into it. The repository is served by git's own daemon,
    and holds the wheels beside the entry, since Capistrano deploys what is in version control."""

    name = "Capistrano"
    returns = False
    needs = ("cap", "git")

    def write(self):
        config = self.place / "config"
        (config / "deploy").mkdir(parents=True)
        (self.place / "Capfile").write_text('require "capistrano/setup"\nrequire "capistrano/deploy"\nrequire "capistrano/scm/git"\n'
                                            'install_plugin Capistrano::SCM::Git\n')
        (config / "deploy/production.rb").write_text("".join(f'server "{each}", user: "root", roles: %w[app]\n' for each in self.addresses))
        (config / "deploy.rb").write_text(f'''\
set :application, "app"
set :repo_url, "git://{GATEWAY}/app.git"
set :branch, ENV["VERSION"]
set :deploy_to, "{ROOT}"
set :keep_releases, 5
set :ssh_options, {{ keys: ["{self.fleet.key}"], keys_only: true, user_known_hosts_file: "{self.fleet.known_hosts}" }}
set :default_env, {{}}
namespace :python do
  task :install do
    on roles(:app) do
      within release_path do
        execute :python3, "-m", "venv", "venv"
        execute "#{{release_path}}/venv/bin/pip", "install", "-q", "--no-index", "--find-links", "#{{release_path}}/wheels", "hello==#{{ENV["VERSION"]}}"
      end
    end
  end
  task :reload do
    on roles(:app) do
      execute :apachectl, "graceful"
      execute "{ASKED}"
    end
  end
end
after "deploy:updated", "python:install"
after "deploy:published", "python:reload"
''')
        self.repository()

    def repository(self):
        work = self.place / "work"
        work.mkdir()
        git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org"]
        subprocess.run([*git, "init", "-q", "-b", "main", work], check=True)
        for name in ("app.ini", "app.wsgi"):
            shutil.copy(self.place / name, work)
        for wheels in sorted((self.place / "wheels").iterdir()):
            shutil.rmtree(work / "wheels", ignore_errors=True)
            shutil.copytree(wheels, work / "wheels")
            for words in (["add", "-A"], ["commit", "-qm", wheels.name], ["tag", wheels.name]):
                subprocess.run([*git, *words], cwd=work, check=True, capture_output=True)
        subprocess.run([*git, "clone", "-q", "--bare", work, self.place / "app.git"], check=True)
        self.daemon = self.fleet.popen(["git", "daemon", "--reuseaddr", "--export-all", f"--base-path={self.place}"], stderr=subprocess.DEVNULL)

    def command(self, verb, version):
        """Each deploy is a release of its own here, also the one of what is served already: the way back names the first."""
        if verb != "rollback":
            return ["env", f"VERSION={version}", "cap", "production", "deploy"]
        first = sorted(self.fleet.hosts[0].run(["ls", f"{ROOT}/releases"]).stdout.split())[0]
        return ["env", f"VERSION={version}", f"ROLLBACK_RELEASE={first}", "cap", "production", "deploy:rollback"]


PEERS = (PlainFabric, Pyinfra, Ansible, Capistrano)
