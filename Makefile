# Two commands do all the set-up: `make demo` installs what the product needs and runs it; `make test` installs the
# rest and runs every check. Both install into .venv only, from the locks, with hashes.
PYTHON ?= python3
BIN := .venv/bin
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --no-input --require-hashes --no-deps
DATA ?=
FAST ?=
SEED ?= 0

.DEFAULT_GOAL := help
.PHONY: help demo test lint types unit long container seeds bench docs lock clean

help:  ## What each target does
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20

demo: .venv/run.stamp  ## Install, then play a year of drift on this machine (FAST=1: one model, a challenger, a rollback; DATA=creditcard.csv: that on a real file)
ifneq ($(FAST)$(DATA),)
	$(BIN)/fraudops demo --seed $(SEED) $(if $(DATA),--data "$(DATA)")
else
	$(BIN)/fraudops simulate --seed $(SEED) --keep build/demo
endif

test: .venv/dev.stamp  ## Install, then run every check
	$(MAKE) --no-print-directory -j 2 lint types container
	$(MAKE) --no-print-directory unit

lint: .venv/dev.stamp  ## Style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev.stamp  ## Static types, strict
	$(BIN)/mypy

unit: .venv/dev.stamp  ## The test suite, end-to-end runs on the local AWS included
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not long'

long: .venv/dev.stamp  ## The loop through the real workflow files on both local clouds, minutes each
	$(BIN)/python -m pytest -n 2 --dist worksteal -m long

container: .venv-container/stamp  ## The steps' tests with the versions of SageMaker's scikit-learn container
	PYTHONPATH=. .venv-container/bin/python -m pytest -m container tests/model tests/steps

seeds: .venv/dev.stamp  ## Recall and false-positive rate of ten stand-ins, seeds 0 to 9, as a table
	$(BIN)/python tests/benchmarks/seeds.py

bench: .venv/dev.stamp .venv-bench/stamp  ## The drift check: false alarms, catches, speed beside named peers, memory, five years; as tables
	$(BIN)/python tests/benchmarks/drift_alarms.py
	$(BIN)/python tests/benchmarks/drift_speed.py --peers .venv-bench/bin/python
	$(BIN)/python tests/benchmarks/capture_speed.py
	$(BIN)/python tests/benchmarks/capture_memory.py
	$(BIN)/python tests/benchmarks/years.py

docs: .venv/dev.stamp  ## Write what is made from the code: CONTRIBUTING's table of folders, the pictures
	$(BIN)/python -m docs.structure

lock: .venv/dev.stamp  ## Make the locks anew from requirements/*.in
	for name in run dev container bench; do $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --custom-compile-command 'make lock' requirements/$$name.in -o requirements/$$name.lock || exit 1; \
	  if [ $$name = run ]; then $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-deps \
	    --no-emit-index-url --no-annotate --custom-compile-command 'make lock' -c requirements/run.lock requirements/steps.in \
	    -o ml/steps/requirements.txt || exit 1; fi; done

# The peers pull in versions that conflict with the product's, so they have an environment of their own.
.venv-bench/stamp: requirements/bench.lock .venv/dev.stamp
	@echo "installing the peers of the benchmarks into .venv-bench"
	$(BIN)/python -m venv --clear .venv-bench
	.venv-bench/bin/python $(PIP_INSTALL) -r requirements/bench.lock
	touch $@

clean:  ## Remove what the targets made, the environments included
	rm -rf build .venv .venv-container .venv-bench .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "fraudops needs Python 3.11, 3.12 or 3.13 (got $$($(PYTHON) --version 2>&1)); try: make PYTHON=python3.12 demo" >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/run.stamp: requirements/run.lock pyproject.toml | .venv/bin/python
	@echo "installing what the product needs into .venv (a minute or two)"
	$(BIN)/python $(PIP_INSTALL) -r requirements/run.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index --editable .
	touch $@

.venv/dev.stamp: requirements/dev.lock .venv/run.stamp
	@echo "installing what the tests need into .venv"
	$(BIN)/python $(PIP_INSTALL) -r requirements/dev.lock
	touch $@

# The container has Python 3.12; where this machine has none, the versions of its libraries are still worth a run.
.venv-container/stamp: requirements/container.lock .venv/dev.stamp
	@echo "installing the container's versions into .venv-container"
	$(BIN)/uv venv --quiet --clear --no-python-downloads --python 3.12 .venv-container 2>/dev/null || \
	  { echo "no Python 3.12 here: testing the container's libraries on $$($(BIN)/python --version)"; $(BIN)/python -m venv --clear .venv-container; }
	$(BIN)/python -m pip --python .venv-container/bin/python install --quiet --disable-pip-version-check --no-input --require-hashes --no-deps -r requirements/container.lock
	touch $@
