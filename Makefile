# Two commands: `make demo` shows the main job, `make test` proves it. `make setup` alone prepares .venv.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

# Compiled modules are kept: a house starts in a second instead of five.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test lint types contracts soak bench clean

setup: .venv/ready

.venv/ready: pyproject.toml requirements-dev.lock
	$(PYTHON) -c 'import sys; sys.exit("radgate needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch .venv/ready

demo: setup
	$(BIN)/radgate demo $(ARGS)

# Two at a time, a file to each: much of a flow is waiting for a disk.
test: setup lint types contracts
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy

contracts: setup
	$(BIN)/lint-imports

soak: setup
	RADGATE_SOAK=1 $(BIN)/python -m pytest --timeout 7200 tests/profiles/test_fuzz.py tests/profiles/xua/iti40/test_changed.py $(ARGS)
	RADGATE_SOAK=1 $(BIN)/python -m pytest -m "soak" --timeout 7200 $(ARGS)

bench: setup
	$(BIN)/python -m tests.bench $(ARGS)

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis demo data reports
