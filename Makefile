# Everything runs in .venv, which holds exactly the versions of requirements.lock.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# What the environment was made of. It is made anew when this changes, and only then.
MADE_OF := $(shell { cat requirements.lock pyproject.toml; $(PYTHON) --version; pwd; } 2>&1 | cksum | tr ' ' '-')

# Compiled programs are kept, so that a second run of a target compiles only what changed.
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.cache/jax
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS ?= 0

.DEFAULT_GOAL := help
.PHONY: help install figures benchmarks test test-all check lint types layers docs lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-10s %s\n", $$1, $$2}'

install: $(STAMP)-$(MADE_OF) ## Make .venv with the locked versions (the other targets do it too)

$(STAMP)-$(MADE_OF):
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dynsys needs Python >= 3.11: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

figures: install ## Draw every figure into figures/
	$(BIN)/python -m scripts --output figures

benchmarks: install ## Measure against other tools and write docs/benchmarks.md, figures/work_precision
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[benchmarks]'
	$(BIN)/python -m scripts.benchmarks

test: install ## Run the tests but those that take long
	$(BIN)/python -m pytest -m "not slow"

test-all: install ## Run all tests, the doctests and the code of the documentation
	$(BIN)/python -m pytest

check: install lint types layers test-all docs ## All that CI runs

lint: install ## Format and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install ## Static types
	$(BIN)/pyright --pythonpath $(BIN)/python

layers: install ## The order of the imports
	$(BIN)/lint-imports

docs: install ## Build the site into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lock: ## Write requirements.lock anew from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --universal --fork-strategy fewest --python-version 3.11 --extra dev --extra docs --no-annotate --no-emit-index-url --no-header --quiet --upgrade --output-file requirements.lock

clean: ## Remove what was built, and .venv
	rm -rf $(VENV) .cache dist build site .pytest_cache .ruff_cache .hypothesis
