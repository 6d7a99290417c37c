# Everything one does in a clone. Each target sets up .venv/ by itself; the second time that needs no network.

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
READY := .venv/.ready
SECONDS ?= 60
STORE ?= sqlite
COUNT ?= 100000
WORKERS ?= 3
ARGS ?=

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup check format format-check lint types imports test demo simulate chaos fuzz interop bench clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' Makefile

setup: $(READY)  ## create .venv/ with the package (editable) and the development tools
	@echo "── .venv/ is ready"

# Touched last: a setup cut short is taken up again. Made anew whenever what the package needs may have changed.
$(READY): pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed: install it, or say make PYTHON=/path/to/python" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv  # never over one that another Python made
	@echo "── setup: .venv/ with $$($(BIN)/python --version)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	@touch $@

check: format-check lint types imports test  ## all that must pass before a commit

format: $(READY)  ## lay out the code, and apply the fixes that lint knows
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .

format-check: $(READY)
	@echo "── layout"
	@$(BIN)/ruff format --check .

lint: $(READY)
	@echo "── lint"
	@$(BIN)/ruff check .

types: $(READY)
	@echo "── types"
	@$(BIN)/mypy

imports: $(READY)
	@echo "── import contracts"
	@$(BIN)/lint-imports --no-cache --no-logo

test: $(READY)  ## run the tests, WORKERS files at a time; ARGS are pytest's
	@echo "── tests"
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

demo: $(READY)  ## see it run: sandbox, hub, two accounts; ARGS="--lang en" and the like
	@$(BIN)/zhongkong demo $(ARGS)

simulate: $(READY)  ## look for violations of the protocol for SECONDS of machine time
	@$(BIN)/python -m tests.simulation --seconds $(SECONDS) $(ARGS)

chaos: $(READY)  ## the same with real processes that are killed and stopped, for SECONDS; STORE=sqlite|mysql|postgresql
	@$(BIN)/python -m tests.chaos --store $(STORE) --seconds $(SECONDS) $(ARGS)

interop: $(READY)  ## real SDKs from PyPI and npm, unmodified, against sandbox and hub; they are installed in .interop/
	@$(BIN)/python -m tests.interop $(ARGS)

fuzz: $(READY)  ## try gateway and callback with COUNT hostile calls and broken answers each
	@$(BIN)/python -m tests.fuzz --count $(COUNT) $(ARGS)

bench: $(READY)  ## measure, beside peers that are got ready in .bench/ (docs/performance.md)
	@$(BIN)/python bench/peers.py
	@for bench in bench/bench_*.py; do echo "── $$bench"; .bench/venv/bin/python $$bench $(ARGS) || exit 1; done

clean:  ## remove .venv/ and what tools left behind
	@rm -rf .venv .bench .interop .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
	@find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
