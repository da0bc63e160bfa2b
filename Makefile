# `make demo` runs the main job, `make test` the tests; both set up what they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
EXTRAS := node,centre,registry,dev
export OMP_NUM_THREADS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-all check lint types imports format proto bench clean help

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(STAMP): pyproject.toml constraints.txt
	@echo "Installing TriFed into $(VENV) (about two minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

demo: $(STAMP)  ## three hospitals train one model under differential privacy, on this machine
	@$(BIN)/trifed demo

test: $(STAMP) check  ## style, types, import rules and the tests that CI runs
	@$(BIN)/python -m pytest -q -m "not slow" -n 2

test-all: $(STAMP) check  ## every test, the slow real-process ones included
	@$(BIN)/python -m pytest -q

check: lint types imports

lint: $(STAMP)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(STAMP)
	@$(BIN)/mypy

imports: $(STAMP)
	@$(BIN)/lint-imports --cache-dir $(VENV)/.import_linter_cache > $(VENV)/imports.txt || (cat $(VENV)/imports.txt; exit 1)

format: $(STAMP)  ## rewrite the code in the house style
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

proto: $(STAMP)  ## regenerate the control channel's code from its proto files
	@$(BIN)/python -m federation.protocol.generate

bench: $(STAMP)  ## the speed figures of docs/performance.md
	@for b in round_overhead aggregation; do $(BIN)/python benchmarks/$$b.py --json; done

clean:
	rm -rf $(VENV) build dist
