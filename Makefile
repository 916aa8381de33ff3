PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= build/demo
CLUSTER ?= cluster.yaml
CLUSTER_TESTS ?= tests/cluster
# uv where it is installed, else pip; a virtual environment that uv made has no pip of its own.
UV := $(shell command -v uv 2> /dev/null)
CREATE = $(if $(UV),$(UV) venv --quiet --python $(PYTHON) $(VENV),$(PYTHON) -m venv $(VENV))
INSTALL = $(if $(UV),$(UV) pip install --quiet --python $(BIN)/python,$(BIN)/python -m pip install --quiet --disable-pip-version-check)

# A worker of pytest-xdist for each CPU, one of them for all tests with a Ray (tests/conftest.py).
PYTEST := $(BIN)/python -m pytest -n auto --dist loadfile

.DEFAULT_GOAL := help
.PHONY: help demo test test-all cluster cluster-test setup dev format lint clean clean-demo

help:  ## Show what there is
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: setup  ## Draw a small data set and run all seven experiments on it
	$(BIN)/python -m orchestrator demo-data $(DEMO)
	$(BIN)/python -m orchestrator run-all --project-root $(DEMO) --config $(DEMO)/recipe.json

test: lint  ## Lint, type-check and run the test suite
	$(PYTEST)

test-all: lint  ## The same with the tests that take too long for every change
	$(PYTEST) -m 'not cluster'

cluster: setup  ## Start the cluster of CLUSTER=cluster.yaml (docs/cluster.md)
	mkdir -p build && git archive -o build/emosweep.tar.gz HEAD
	test -s ~/.ray/auth_token || $(BIN)/ray get-auth-token --generate > /dev/null
	chmod 600 ~/.ray/auth_token
	$(if $(filter cluster.yaml,$(CLUSTER)),RAY_UP_enable_autoscaler_v2=0 )$(BIN)/ray up -y $(CLUSTER)

cluster-test: dev  ## Launch a cluster on hosts in Linux namespaces, break it
	$(BIN)/python -m pytest -m cluster -s $(CLUSTER_TESTS)

setup: $(VENV)/.installed faceapi/node/node_modules/.installed  ## Install what the program needs: Python and Node packages

dev: setup $(VENV)/.installed-dev  ## Install what tests and linters need too

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; try: make PYTHON=python3.11")'
	$(CREATE)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(if $(UV),,$(BIN)/python -m pip --version > /dev/null || $(BIN)/python -m ensurepip)
	$(INSTALL) -c constraints.txt -e '.[optuna]'
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(INSTALL) -c constraints.txt -e '.[dev]'
	touch $@

faceapi/node/node_modules/.installed: faceapi/node/package.json faceapi/node/package-lock.json
	@if command -v npm > /dev/null; then cd faceapi/node && npm ci --ignore-scripts --no-audit --no-fund && touch node_modules/.installed; \
	else echo "no npm here: face-api's weights must come from a folder (docs/faceapi.md)"; fi

format: dev  ## Format the code and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: dev  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:  ## Delete what was installed or cached here; results stay
	rm -rf $(VENV) faceapi/node/node_modules build/lib build/bdist.* dist *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

clean-demo:  ## Delete the demo's data and results
	rm -rf $(DEMO)
