# `make demo` installs the product and the emulators and runs the demo; `make install` also installs the development
# tools and GitHub's command line, and `make test` does so and runs the checks. All install into .venv, from the locks, with hashes.
PYTHON ?= python3
BIN := .venv/bin
# SageMaker's scikit-learn image has Python 3.12. This is one that runs, or empty: pyenv's command python3.12 fails
# unless the version is activated, and uv's Pythons need not be on PATH.
PYTHON312 ?= $(shell for python in python3.12 $(PYTHON) $${PYENV_ROOT:-$$HOME/.pyenv}/versions/3.12.*/bin/python3.12 \
  $${XDG_DATA_HOME:-$$HOME/.local/share}/uv/python/cpython-3.12.*/bin/python3.12; do \
  $$python -c 'import ensurepip, sys; sys.exit(sys.version_info[:2] != (3, 12))' 2>/dev/null && { command -v $$python; exit; }; done)
INSTALL := $(PYTHON) -m ml.lock_installer
EDITABLE := -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-build-isolation --no-index
DATA ?=
FAST ?=
SEED ?= 0
SHARD ?= 0/1
OPTIONS ?=
QUICK ?=
MINUTES ?= 10

.DEFAULT_GOAL := help
.PHONY: help install demo test lint types unit long permissions emulators oracle product-alone serving-stack spark axe container seeds bench fuzz vulnerabilities secrets drift-alarms years chaos kills checkov docs lock clean

help:  ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

install: .venv/dev.stamp  ## Install the product, the emulators, the tools of the checks and gh into .venv, and run nothing

# The jobs of the demo run with the image's packages where Python 3.12 is found, and otherwise in .venv.
demo: .venv/local.stamp  ## Install, then play a year of drift on this machine (FAST=1: one model, a challenger, a rollback; DATA=creditcard.csv: the same on a real file)
	@$(if $(PYTHON312),$(MAKE) --silent --no-print-directory .venv-container/stamp || echo "the jobs of the demo will run in .venv",:)
ifneq ($(FAST)$(DATA),)
	$(BIN)/fraudops demo --seed $(SEED) $(if $(DATA),--data "$(DATA)")
else
	$(BIN)/fraudops simulate --seed $(SEED) --keep build/demo
endif

test: .venv/dev.stamp  ## Install, then run style, types and the product's tests; the minutes-long runs are `make long`
	$(MAKE) --no-print-directory -j 2 container-steps container-model types lint
	$(MAKE) --no-print-directory unit

lint: .venv/dev.stamp  ## Style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev.stamp  ## Static types, strict
	$(BIN)/mypy

unit: .venv/dev.stamp  ## The test suite, end-to-end runs on the AWS emulator included
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not long and not removal and not serving_stack and not spark and not axe'

# The files that have the mark: importing all others takes ten seconds in each worker.
long: .venv/dev.stamp  ## The loop through the real workflow files on both emulators, minutes each
	$(BIN)/python -m pytest -n 2 --dist worksteal -m long $$(grep --recursive --files-with-matches --include='test_*.py' 'mark\.long' tests)

permissions: .venv/dev.stamp  ## Run the demo and the failure paths, report every permission in build/permissions.json, remove each statement of infra/ and run the test that must then fail; an hour
	@mkdir -p build
	$(BIN)/python -m pytest -n 2 --dist worksteal -m '' --basetemp build/permissions --permission-report build/permissions.json \
	  --ignore tests/infra/test_statement_removal.py tests/infra tests/workflows tests/playground/test_demo_round.py
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'removal or long' tests/infra/test_statement_removal.py

# Each emulator is tested in an environment without the product and without the other emulator.
emulators: .venv-local-aws/stamp .venv-local-github/stamp  ## Each emulator's own tests and types, in an environment without the product
	for name in aws github; do (cd emulators/$$name && ../../.venv-local-$$name/bin/mypy && \
	  ../../.venv-local-$$name/bin/python -m pytest -n 2 --dist worksteal) || exit 1; done

oracle: .venv-local-aws/stamp emulators/aws/tests/iam/oracle/node_modules/.package-lock.json  ## The AWS emulator's evaluation of IAM policies against a second evaluator from npm; needs Node.js 20
	cd emulators/aws && LOCAL_AWS_ORACLE=required ../../.venv-local-aws/bin/python -m pytest tests/iam/test_oracle.py

product-alone: .venv-product/stamp  ## The product's wheel and the verbs of the workflows, in an environment without the emulators
	.venv-product/bin/python tests/product_alone.py

# FRAUDOPS_SKLEARN_CONTAINER is a checkout of aws/sagemaker-scikit-learn-container, whose handler is in no registry.
serving-stack: .venv/dev.stamp .venv-serving-stack/stamp  ## SageMaker's own serving stack, without a network, against `fraudops score`; needs Python 3.12; FRAUDOPS_SKLEARN_CONTAINER=FOLDER: AWS's own handler too
	FRAUDOPS_SKLEARN_CONTAINER="$(FRAUDOPS_SKLEARN_CONTAINER)" $(BIN)/python -m pytest -m serving_stack tests/serving_stack

spark: .venv/dev.stamp .venv-spark/stamp  ## Preparation, training and drift counts on Spark 3.5 with worker processes, against one machine; needs Python 3.12 and Java 17
	$(BIN)/python -m pytest -m spark tests/spark

axe: .venv/dev.stamp tests/axe/node_modules/.package-lock.json  ## Every page against axe-core's rules in Chromium, narrow and wide, light and dark; needs Node.js 20 and Chromium
	$(BIN)/python -m pytest -m axe tests/axe

container: container-model container-steps  ## The steps' tests with the versions of SageMaker's scikit-learn container

container-%: .venv-container/stamp
	PYTHONPATH=. .venv-container/bin/python -m pytest -m container tests/$*

seeds: .venv/dev.stamp  ## Table of recall and false-positive rate of ten stand-in data sets, seeds 0 to 9
	$(BIN)/python tests/benchmarks/seeds.py

bench: .venv/dev.stamp .venv-bench/stamp  ## Speed and memory compared with other libraries: docs/performance.md (leave the machine alone meanwhile; QUICK=1: three minutes, fails where a committed ratio has fallen by a third; OPTIONS="--only train")
	@$(if $(QUICK),:,$(if $(PYTHON312),$(MAKE) --silent --no-print-directory .venv-serving-stack/stamp,echo "no Python 3.12 here: SageMaker's own serving stack is not measured"))
	$(BIN)/python -m tests.benchmarks.bench $(if $(QUICK),--quick) $(OPTIONS)

drift-alarms: .venv/dev.stamp  ## False alarms and detections of the drift check on 200 windows each
	$(BIN)/python tests/benchmarks/drift_alarms.py

# One file per year below docs/years/; what is there and was made by the same code is not made again.
years: .venv/dev.stamp  ## Simulated years, false alarms and the gate's power: docs/years.md (hours; SHARD=0/4: every fourth; OPTIONS=--replay: the first seed of each kind again; OPTIONS=--render: the page alone)
	$(BIN)/python -m tests.benchmarks.gate_power --shard $(SHARD) $(if $(filter 0/1,$(SHARD)),--write)
	$(BIN)/python -m tests.benchmarks.years --shard $(SHARD) $(OPTIONS)

# Both append to a folder below build/ and continue where they stopped.
kills: .venv/dev.stamp  ## Verbs killed at random moments, and run again: docs/chaos.md (hours; SHARD=0/2: every second trial; OPTIONS="--first 42": the trials after the committed ones; OPTIONS=--page: the page alone)
	$(BIN)/python -m tests.benchmarks.kills --shard $(SHARD) $(OPTIONS)

chaos: .venv/dev.stamp  ## The loop under seeded faults: docs/chaos.md (hours; SHARD=0/4: every fourth seed; OPTIONS="--seeds 100": the first hundred; OPTIONS=--page: the page alone)
	$(BIN)/python -m tests.benchmarks.chaos --shard $(SHARD) $(OPTIONS)

fuzz: .venv/dev.stamp  ## Random input for everything that somebody else writes: docs/fuzzing.md (MINUTES=60; OPTIONS="--target pages": one target; OPTIONS=--page: the page alone)
	$(BIN)/python -m tests.fuzz.run --minutes $(MINUTES) $(OPTIONS)

checkov: .venv-checkov/stamp  ## Check the templates and workflow files with checkov; it has an environment of its own
	.venv-checkov/bin/python tests/checkov_run.py

vulnerabilities: .venv-audit/stamp  ## Compare every lock with the advisories of osv.dev; needs the network
	.venv-audit/bin/python tests/dependency_audit.py

secrets: .venv-audit/stamp  ## Look for secrets in every tracked file
	.venv-audit/bin/python tests/secret_scan.py

docs: .venv/dev.stamp  ## Generate CONTRIBUTING's table of folders, the pictures and docs/cost.md from code and figures, and run the notebooks
	$(BIN)/python -m docs.structure
	$(BIN)/python -m docs.notebook

lock: .venv/dev.stamp  ## Write the locks from requirements/*.in and the emulators' pyproject.toml
	requirements/lock.sh $(BIN)/uv

# The compared libraries need versions that conflict with the product's, so they have a separate environment.
.venv-bench/stamp: requirements/bench.lock
	@$(INSTALL) .venv-bench requirements/bench.lock
	@touch $@

# checkov needs versions that conflict with the product's, so it has a separate environment.
.venv-checkov/stamp: requirements/checkov.lock
	@$(INSTALL) .venv-checkov requirements/checkov.lock
	@touch $@

# These tools are used by nothing else.
.venv-audit/stamp: requirements/audit.lock
	@$(INSTALL) .venv-audit requirements/audit.lock
	@touch $@

clean:  ## Remove build outputs and environments
	rm -rf build emulators/aws/tests/iam/oracle/node_modules tests/axe/node_modules .venv .venv-tools .venv-container .venv-serving-stack .venv-spark .venv-checkov .venv-audit .venv-bench .venv-local-aws .venv-local-github .venv-product .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "fraudops needs Python 3.11, 3.12 or 3.13 (got $$($(PYTHON) --version 2>&1)); try: make PYTHON=python3.12 demo" >&2; exit 1; }
	@echo "creating .venv"
	@$(PYTHON) -m venv .venv

.venv/local.stamp: requirements/local.lock pyproject.toml emulators/aws/pyproject.toml emulators/github/pyproject.toml | .venv/bin/python
	@$(INSTALL) .venv requirements/local.lock
	@echo "installing fraudops and the two emulators into .venv (editable)"
	@$(BIN)/python $(EDITABLE) --editable . --editable emulators/aws --editable emulators/github
	@touch $@

.venv/dev.stamp: requirements/dev.lock .venv/local.stamp
	@$(INSTALL) .venv requirements/dev.lock
	@touch $@

.venv-local-%/stamp: requirements/local-%.lock emulators/%/pyproject.toml
	@$(INSTALL) .venv-local-$* requirements/local-$*.lock
	@echo "installing emulators/$* into .venv-local-$* (editable)"
	@.venv-local-$*/bin/python $(EDITABLE) --editable emulators/$*
	@touch $@

# npm writes this file last, from the lock, whose hashes it has verified.
%/node_modules/.package-lock.json: %/package-lock.json
	cd $* && npm ci --no-audit --no-fund
	@touch $@

.venv-product/stamp: requirements/run.lock requirements/build.lock
	@$(INSTALL) .venv-product requirements/run.lock requirements/build.lock
	@touch $@

# sagemaker-containers conflicts with the product's packages, and its image has Python 3.12.
.venv-serving-stack/stamp: requirements/serving-stack.lock .venv/dev.stamp
	@$(BIN)/uv venv --quiet --clear --no-python-downloads --seed --python "$(or $(PYTHON312),3.12)" .venv-serving-stack || \
	  { echo "make serving-stack needs Python 3.12: install it, and try again" >&2; exit 1; }
	@$(INSTALL) .venv-serving-stack requirements/serving-stack.lock
	@touch $@

# The Spark image has Python 3.12; its packages would bring Spark into .venv.
.venv-spark/stamp: requirements/spark.lock .venv/dev.stamp
	@command -v java >/dev/null || [ -n "$$JAVA_HOME" ] || { echo "make spark needs Java 17: install it, and try again" >&2; exit 1; }
	@$(BIN)/uv venv --quiet --clear --no-python-downloads --seed --python "$(or $(PYTHON312),3.12)" .venv-spark || \
	  { echo "make spark needs Python 3.12: install it, and try again" >&2; exit 1; }
	@$(INSTALL) .venv-spark requirements/spark.lock
	@touch $@

# Without Python 3.12, the libraries' versions for this machine's Python are installed.
.venv-container/stamp: requirements/container.lock | .venv/bin/python
	@python="$(PYTHON312)"; \
	[ "$$python" ] || { echo "no Python 3.12 here: installing the container's libraries for $$($(BIN)/python --version)"; python=$(BIN)/python; }; \
	"$$python" -m venv --clear .venv-container
	@$(INSTALL) .venv-container requirements/container.lock
	@touch $@
