# The two commands that a newcomer needs are `make demo` and `make test`; README.md says what they
# take. Everything runs in .venv, which is made from the lock file on first use.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
GRADER := $(VENV)/bin/grader
# Two workers: the suite mixes torch with many small processes. One thread each: torch would use
# every core by itself, and two of them would wait for each other.
WORKERS ?= 2
ENTRY_NUMBER ?=
ASSIGNMENT ?= ail721-a2
DEMO := demo

.PHONY: help env demo test lint bench col775-study attack submit check lock clean

help:  ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

env: $(VENV)/.installed  ## make the environment from the lock file

$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: env  ## fixtures, a packed zip, its score and the report
	$(PY) -m fixtures.demo $(DEMO)

test: env lint  ## everything that has to hold: style, types, units, acceptance, attacks
	OMP_NUM_THREADS=1 $(PY) -m pytest -n $(WORKERS) --dist worksteal

lint: env  ## style and types alone
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: env  ## every speed that is promised, each a ratio measured side by side
	$(PY) -m benchmarks --write

col775-study: env  ## the second assignment's whole study in small, into docs/col775-study
	OMP_NUM_THREADS=1 $(PY) -m fixtures.col775_study docs/col775-study --work build/col775-study

attack: env  ## the attacks alone
	$(PY) -m pytest -n 1 -m attack tests/attacks

submit: env  ## pack submission/ as ENTRY_NUMBER.zip and check it as the course will
	$(PY) -m fixtures.student_folder build/student --assignment "$(ASSIGNMENT)"
	$(GRADER) pack build/student --assignment "$(ASSIGNMENT)" --entry-number "$(ENTRY_NUMBER)" --out .

check: env  ## check ENTRY_NUMBER.zip again, and run it for a moment as the course will
	$(GRADER) check "$(ENTRY_NUMBER).zip" --assignment "$(ASSIGNMENT)" --smoke

lock: env  ## renew requirements.lock after a change of pyproject.toml (needs uv)
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -o requirements.lock
	uv pip compile pyproject.toml --universal --python-version 3.11 --constraint requirements.lock \
	  --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -o requirements-check.lock

clean:  ## remove what was generated
	rm -rf $(DEMO) reports build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
