# Everything from a bare clone: needs Python ≥ 3.11 with venv, and make.

PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
BIN := $(VENV)/bin

.PHONY: run test lint bench-list bench-decide lock clean

run: $(READY)  ## start the service on 127.0.0.1:8080 (HOST and PORT change that)
	@$(BIN)/python -c 'import wsgi' && exec $(BIN)/gunicorn wsgi:app  # a bad setting is told before gunicorn reads it

test: $(READY)  ## run the whole test suite
	$(BIN)/pytest

lint: $(READY)  ## ruff and mypy, as CI does
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench-list: $(READY)  ## how fast a page is, beside bare WSGI and raw sqlite3; writes bench/RESULTS.md
	$(BIN)/python -m bench.list

bench-decide: $(READY)  ## decisions a second beside a no-op POST, and dollars over a cap; writes bench/RESULTS.md
	$(BIN)/python -m bench.decide

lock: $(READY)  ## requirements.txt changed: write its hashed closure anew
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-header \
		requirements.txt -o requirements.lock

clean:  ## remove what make made; the database in instance/ stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(READY): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Python 3.11 or newer is needed: make PYTHON=python3.12' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@
