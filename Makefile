# Each of these is one command on a fresh machine with Python 3.11 or newer; they make .venv and fill it as needed.

.PHONY: help demo run test lint bench lock server dev bench-packages
.SILENT:

# The newest Python that can make a virtual environment.
PYTHON ?= $(shell for name in python3.14 python3.13 python3.12 python3.11 python3; do \
	$$name -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
IN_VENV = .venv/bin/python

# What production would set, so that the deployment checks look at that.
AS_DEPLOYED = DATABASE_URL=postgresql://gatebook@localhost/gatebook ALLOWED_HOSTS=gatebook.example.org \
	SECRET_KEY=$$($(IN_VENV) -c 'import secrets; print(secrets.token_urlsafe(50))')

help:
	echo "make demo    a living book to look at, in the browser"
	echo "make run     an empty book that records your own requests"
	echo "make test    the tests"
	echo "make lint    style, types, templates, migrations, deployment checks"
	echo "make bench   what we claim about speed, measured (ROWS=2000000; docs/performance.md)"
	echo "make lock    pin the newest versions of what requirements/*.in name"

demo: server
	exec $(IN_VENV) -m config.quickstart demo

run: server
	exec $(IN_VENV) -m config.quickstart run

test: dev
	$(IN_VENV) -m pytest -n auto --dist loadfile -m "not crash"

lint: dev
	$(IN_VENV) -m ruff check
	$(IN_VENV) -m ruff format --check
	$(IN_VENV) -m mypy
	$(IN_VENV) -m djlint templates --lint --quiet
	$(AS_DEPLOYED) $(IN_VENV) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	$(AS_DEPLOYED) $(IN_VENV) manage.py check --deploy --fail-level WARNING

# What is said on its command line (ROWS=…, ONLY=…, PROFILE=1) is in its environment.
bench: bench-packages
	exec $(IN_VENV) -m benchmarks

LOCK = $(IN_VENV) -m uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --upgrade
lock: dev
	$(LOCK) requirements/server.in -o requirements/server.txt
	$(LOCK) requirements/dev.in -c requirements/server.txt -o requirements/dev.txt
	$(LOCK) requirements/bench.in -c requirements/server.txt -o requirements/bench.txt

# The server's packages are among the developer's and the benchmark's: any lock, once installed, is enough for the server.
server: .venv/bin/pip
	cmp -s requirements/server.txt .venv/installed-server.txt || $(call install,server)

dev: .venv/bin/pip
	cmp -s requirements/dev.txt .venv/installed-dev.txt || $(call install,dev)

bench-packages: .venv/bin/pip
	cmp -s requirements/bench.txt .venv/installed-bench.txt || $(call install,bench)

install = { \
	echo "Installing what requirements/$(1).txt names into .venv; this happens once." && \
	$(IN_VENV) -m pip install -q --disable-pip-version-check --require-hashes -r requirements/$(1).txt && \
	cp requirements/$(1).txt .venv/installed-$(1).txt && cp requirements/server.txt .venv/installed-server.txt; }

.venv/bin/pip:
	test -n "$(PYTHON)" || { echo "Gatebook needs Python 3.11 or newer with its venv module; none was found" \
		"(on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
