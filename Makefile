# `make demo` and `make test` need Python 3.10 or newer, a package registry and an hour at most; no root
# rights. Another Python: make demo PYTHON=python3.12

PYTHON ?= python3
TEST_PROCESSES ?= 2
VENV := .venv
SHELL := /bin/bash

.DEFAULT_GOAL := help
.PHONY: help demo test check clean venv
MAKEFLAGS += --no-print-directory

# Recipes and tests call `python3` and `legonn` by name.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
unexport PYTHONPATH

SCRIPTS = $(shell find egs tools .ci -type f \( -name '*.sh' -o -path .ci/run \) \
	-not -path '*/data/*' -not -path '*/dump/*' -not -path '*/exp*/*')

help:
	@echo "make demo    train German-English and Romanian-English numbers, swap their decoders"
	@echo "make test    run the tests, two at once (TEST_PROCESSES=4: four)"
	@echo "make check   formatter, linters, type checker"
	@echo "make clean   remove .venv, caches, and what the demo made"
	@echo "make venv    only set up .venv; the others do so themselves"
	@echo "Another Python: make demo PYTHON=python3.12"

demo: $(VENV)/complete
	@cd egs/numbers/lego1 && ./run.sh

test: $(VENV)/complete
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} python -m pytest --numprocesses $(TEST_PROCESSES) --dist worksteal

check: $(VENV)/complete
	ruff format --check .
	ruff check .
	mypy
	shellcheck $(SCRIPTS)

clean:
	rm -rf $(VENV) .venv.lock build *.egg-info .pytest_cache .ruff_cache .mypy_cache
	rm -rf egs/numbers/lego1/{data,dump,exp,exp_board}
	find legonn test tools egs -name __pycache__ -type d -prune -exec rm -rf {} +

venv: $(VENV)/complete

$(VENV)/complete: setup.py tools/constraints.txt
	@PATH="$${PATH#*:}"; \
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
		echo "error: '$(PYTHON)' is missing, or older than Python 3.10. Name another one:" >&2; \
		echo "    make $(MAKECMDGOALS) PYTHON=/path/to/python3.10-or-newer" >&2; exit 1; }; \
	$(PYTHON) tools/setup_venv.py
