# Two commands matter on a fresh machine: `make demo` and `make test`. Both set up what they need.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup test lint demo demo-cluster demo-kubernetes chaos sim bench build image lock notes clean

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
LOCK := requirements/dev.txt

# PYTHON=... chooses; otherwise the first interpreter that runs and is new enough.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Create .venv from the lock (done by the other targets when needed)

$(READY): $(LOCK) pyproject.toml common/tenure_common/version.py
	@test -n "$(PYTHON)" || { echo "Python >= 3.11 not found: install it (your package manager or" \
		"python.org has it), or name one: make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv module:" \
		"install it (Debian and Ubuntu: apt install python3-venv)"; exit 1; }
	@echo "==> Setting up $(VENV) with $$($(PYTHON) --version): about a minute, 500 MB"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --disable-pip-version-check --require-hashes --no-deps -r $(LOCK)
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps \
		--no-build-isolation --editable .
	@touch $@

test: $(READY) ## Run every layer of tests; LAYERS="lint unit" runs some
	@$(BIN)/python tests/run.py $(LAYERS)

lint: $(READY) ## Style, spelling, layers, lock; mypy and pyright, both strict
	@$(BIN)/python tests/run.py lint types

demo: $(READY) ## Run an order workflow, kill the engine in the middle, watch it finish
	@$(BIN)/python examples/demo.py $(ARGS)

demo-kubernetes: $(READY) ## Run workflows on a cluster made for it alone (Linux, root); CONTEXT=... IMAGE=...: on yours
	@$(BIN)/python examples/demo_kubernetes.py $(if $(CONTEXT),--context $(CONTEXT)) $(if $(IMAGE),--image $(IMAGE)) $(ARGS)

demo-cluster: $(READY) ## The same with three sidecars on etcd and some thousand workflows
	@PYTHONPATH=tests $(BIN)/python examples/demo_cluster.py $(ARGS)

chaos: $(READY) ## Kill, pause and cut off sidecars under load for MINUTES=10, and judge
	@PYTHONPATH=tests $(BIN)/python tests/cluster/chaos.py --minutes $(or $(MINUTES),10) $(ARGS)

sim: $(READY) ## Play SEEDS=1000 clusters in virtual time; SEEDS=7-7 shows what happened in one
	@PYTHONPATH=tests $(BIN)/python tests/sim/play.py $(or $(SEEDS),1000) $(ARGS)

bench: $(READY) ## Measure against the floor and a null engine; ARGS=--quick for two minutes
	@$(BIN)/python bench/run.py $(ARGS)

build: $(READY) ## Build wheel and sdist into dist/
	@$(BIN)/uv build --no-build-isolation --python $(BIN)/python --out-dir dist .

image: $(READY) ## Build the image of all roles as build/tenure.tar, without a container engine
	@$(BIN)/python image/build.py $(ARGS)

lock: $(READY) ## Resolve the dependencies again and write requirements/
	@$(BIN)/python requirements/lock.py

notes: $(READY) ## Show the change notes of the next release
	@$(BIN)/towncrier build --draft --version next

clean: ## Remove what the other targets made, .venv included
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage*
