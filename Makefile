# The two commands of the README, and what the machines need for all of the tests.
PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python
QUICK = -m "not system and not slow"
JOBS ?= 2

.PHONY: demo test quick system clean packages

$(VENV)/made: pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "weft needs Python 3.11 or later: make PYTHON=python3.11 ..." >&2; exit 2; }
	@echo "making $(VENV) with weft and its dependencies"
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

# The main job on this machine, in under two minutes; no root.
demo: $(VENV)/made
	@$(RUN) -m weft.demo

# All tests that this machine can run. The quick ones answer first, within a minute or two. Compiled before, since some machines write no byte code
# and the tests start thousands of processes. One worker carries out the system tests, which wait most of their time, beside the slow ones.
test: $(VENV)/made
	@$(RUN) -m compileall -q src tests
	@$(RUN) -m pytest -q -n $(JOBS) $(QUICK) --skips-file=.pytest_cache/skips
	@$(RUN) -m pytest -q -n $$(($(JOBS) + 1)) --dist loadfile -m "slow or system" --skips-file=.pytest_cache/skips
	@$(RUN) -m tests.skips .pytest_cache/skips

quick: $(VENV)/made
	@$(RUN) -m pytest -q -n $(JOBS) $(QUICK)

system: $(VENV)/made
	@$(RUN) -m pytest -q -m system

# What the system tests need of Debian; run as root.
packages:
	apt-get install -y -q --no-install-recommends --no-upgrade apache2 apache2-dev libapache2-mod-passenger libapache2-mod-wsgi-py3 curl gcc git haproxy iproute2 libfaketime mercurial nghttp2-client nginx-light openssh-client openssh-server openssl \
	  postgresql python3-dev python3-venv strace sudo systemd util-linux uwsgi-core uwsgi-emperor uwsgi-plugin-python3

clean:
	rm -rf $(VENV) .pytest_cache build dist src/*.egg-info
