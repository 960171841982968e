# berth: `make run` and `make test` are all that most people need. Both set up .venv by themselves.
SHELL  := /bin/bash
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --no-input -q
ARGS   ?=
# Tests at a time: they mostly wait for hosts, engines and terminals. One file stays with one worker.
JOBS   ?= 5
# Compiled modules are kept, whatever is set outside: the tests start Python thousands of times.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: run test lab screenshots bench lint format docs constraints clean help

help:            ## show this list
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

run: $(VENV)/.run  ## open the dashboard (make run ARGS="--config DIR")
	@$(BIN)/berth $(ARGS)

test: $(VENV)/.dev  ## install missing system packages, check the code, run every test (ARGS go to pytest)
	@tests/lab/setup.sh
	@$(BIN)/python -m compileall -q backend tui tests
	@$(BIN)/python -m pytest --collect-only -qq >/dev/null 2>&1 & $(MAKE) --no-print-directory lint; \
	    code=$$?; wait; exit $$code  # while types are checked, one process compiles the tests for all workers
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(VENV)/.dev  ## style, types, arrows of import, Python 3.8 for the agent
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check -q .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache 2>&1 | tail -n 4; test $${PIPESTATUS[0]} -eq 0
	@$(BIN)/vermin -q -t=3.8- --no-tips --no-parse-comments backend/agent backend/sync/host backend/disk/host backend/ownership/host $(wildcard backend/toolkit/[a-z]*.py)

format: $(VENV)/.dev  ## let ruff mend what it can
	@$(BIN)/ruff check --fix -q . ; $(BIN)/ruff format .

lab: $(VENV)/.dev  ## three real hosts in namespaces on this machine (root), and the dashboard on them
	@tests/lab/setup.sh
	@$(BIN)/python -m tests.lab demo

screenshots: $(VENV)/.dev  ## make screenshots/ from the lab
	@tests/lab/setup.sh
	@$(BIN)/python -m tests.bench.screenshots

bench: $(VENV)/.dev  ## our figures beside peers', measured in the same run
	@tests/lab/setup.sh
	@$(BIN)/python -m tests.bench $(ARGS)

docs: $(VENV)/.dev  ## write what follows from the code: docs/keys.md, docs/berth.1, tables of docs/json.md
	@$(BIN)/python -m tests.docs.generate

constraints:     ## pin again: constraints.txt (what berth needs), constraints-dev.txt (and what working on it needs)
	uv pip compile -q --universal --generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
	    --python-version 3.11 --extra web --group build pyproject.toml -o constraints.txt
	uv pip compile -q --universal --generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
	    --python-version 3.11 --extra web --group dev --group bench pyproject.toml -o constraints-dev.txt

clean:           ## remove .venv and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "berth needs Python 3.11 or newer; $$($(PYTHON) --version) is $(PYTHON). Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "setting up $(VENV) ..." >&2
	@$(PYTHON) -m venv $(VENV) || { echo "no venv module: on Debian and Ubuntu, apt install python3-venv" >&2; exit 1; }

$(VENV)/.run: $(VENV)/bin/python constraints.txt pyproject.toml
	@$(PIP) install --require-hashes -r constraints.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.run constraints-dev.txt
	@$(PIP) install --require-hashes -r constraints-dev.txt
	@touch $@

