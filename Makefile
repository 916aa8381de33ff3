PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO ?= build/demo

.PHONY: demo test setup format lint clean

demo: setup  ## Draw a small data set, run all seven experiments on it, print their table
	$(BIN)/python -m orchestrator demo-data $(DEMO)
	$(BIN)/python -m orchestrator run-all --project-root $(DEMO) --config $(DEMO)/recipe.json

test: setup lint  ## Lint, type-check and run the whole test suite
	$(BIN)/python -m pytest

setup: $(VENV)/.installed faceapi/node/node_modules/.installed  ## Virtual environment and Node packages

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; try: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

faceapi/node/node_modules/.installed: faceapi/node/package.json faceapi/node/package-lock.json
	@if command -v npm > /dev/null; then cd faceapi/node && npm ci --ignore-scripts --no-audit --no-fund && touch node_modules/.installed; \
	else echo "no npm here: face-api's weights must come from a folder (docs/faceapi.md)"; fi

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) faceapi/node/node_modules build *.egg-info
