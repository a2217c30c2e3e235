# What a developer runs. `make test` and `make demo` need Python 3.10 or newer and nothing else; the browser tests
# also want Chromium or Chrome.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed

.PHONY: help demo test test-long coverage defences bench audit check format lock clean
help:
	@echo "make demo       a sandbox server and JupyterLab on the quickstart notebook"
	@echo "make test       every check and every test"
	@echo "make test-long  the tests with their full numbers"
	@echo "make coverage   the tests once more, and which lines they ran"
	@echo "make defences   each defence of SECURITY.md switched off, and its tests seen to fail (DEFENCES=NAME…)"
	@echo "make bench      what it costs beside its peers, and what the sandbox bears (BENCH=--quick: less exactly)"
	@echo "make audit      licences and known vulnerabilities of what it needs at run time"
	@echo "make format     put the code in its usual form"
	@echo "make lock       choose the pinned versions anew (needs uv)"

# uv, where it is there, installs in seconds what takes pip a minute; both install the pinned versions.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	@if command -v uv >/dev/null 2>&1; then \
	  uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'; \
	else \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'; \
	fi
	@touch $@

demo: $(STAMP)
	$(BIN)/ic-notebook demo

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --python-version 3.10
	$(BIN)/mypy --python-version 3.14
	$(BIN)/lint-imports --no-logo

# A file's tests run in one process, and the browser's, which take longest, first.
SHARED_OUT = -n 2 --dist loadfile --no-loadscope-reorder

test: check
	$(BIN)/python -m pytest $(SHARED_OUT)

test-long: $(STAMP)
	IC_TEST_LONG=1 $(BIN)/python -m pytest $(SHARED_OUT) --timeout 1800

coverage: $(STAMP)
	$(BIN)/python -m pytest $(SHARED_OUT) --cov --cov-report=term

DEFENCES ?=
defences: $(STAMP)
	$(BIN)/python -m tests.defences.run $(DEFENCES)

# An environment of its own: the peers are nobody's dependencies. BENCH="--only storm" gives options.
BENCH ?=
BENCH_VENV ?= .venv-bench
BENCH_PEERS = tests/benchmarks/peers.txt
BENCH_STAMP = $(BENCH_VENV)/.installed

$(BENCH_STAMP): pyproject.toml constraints.txt $(BENCH_PEERS)
	$(PYTHON) -m venv $(BENCH_VENV)
	@if command -v uv >/dev/null 2>&1; then \
	  uv pip install --quiet --python $(BENCH_VENV)/bin/python --constraint constraints.txt \
	    --requirement $(BENCH_PEERS) --editable '.[demo]'; \
	else \
	  $(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	    --requirement $(BENCH_PEERS) --editable '.[demo]'; \
	fi
	@touch $@

# Compiled first, as pip does with what it installs: no run of it should have to.
bench: $(BENCH_STAMP)
	$(BENCH_VENV)/bin/python -m compileall -q ic_notebook
	$(BENCH_VENV)/bin/python -m tests.benchmarks.run $(BENCH)
	$(BENCH_VENV)/bin/python tests/benchmarks/sandbox.py

# An environment of its own: what a user gets who installs every extra, and pip-audit.
AUDIT_VENV ?= .venv-audit
AUDIT_TOOLS = tests/supply/tools.txt
AUDIT_STAMP = $(AUDIT_VENV)/.installed

$(AUDIT_STAMP): pyproject.toml constraints.txt $(AUDIT_TOOLS)
	$(PYTHON) -m venv $(AUDIT_VENV)
	@if command -v uv >/dev/null 2>&1; then \
	  uv pip install --quiet --python $(AUDIT_VENV)/bin/python --constraint constraints.txt \
	    --requirement $(AUDIT_TOOLS) --editable '.[sandbox,dask,demo]'; \
	else \
	  $(AUDIT_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
	    --requirement $(AUDIT_TOOLS) --editable '.[sandbox,dask,demo]'; \
	fi
	@touch $@

audit: $(AUDIT_STAMP)
	$(AUDIT_VENV)/bin/python -m tests.supply.audit

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock:
	uv pip compile --universal --python-version 3.10 --extra dev --no-header --no-annotate --no-emit-index-url \
	  --upgrade --quiet --output-file constraints.txt pyproject.toml

clean:
	rm -rf $(VENV) $(BENCH_VENV) $(AUDIT_VENV) dist build photographs .coverage* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
