# Everything runs in a virtual environment of its own, .venv, made when it is first needed.
#   make PYTHON=/path/to/python3.11 ...   to choose the interpreter

VENV ?= .venv
PYTHON ?=
WORKERS ?= 2
BIN := $(VENV)/bin

# One thread for each numeric library: the tests run side by side.
export OMP_NUM_THREADS ?= 1
export PYTHON
export NO_MKDOCS_2_WARNING = 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow lint format docs docs-serve bench bench-search changelog clean

help: ## list these commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F '\t' '{printf "make %-12s %s\n", $$1, $$2}'

demo: $(VENV)/.stamp-user ## from a table to a model, a report and predictions, in two minutes
	rm -rf demo
	$(BIN)/python scripts/demo_table.py demo
	$(BIN)/modelwright fit demo/breast_cancer.csv --target class --test demo/test.csv --time 60 --out demo/run
	$(BIN)/modelwright leaderboard demo/run --top 10
	$(BIN)/modelwright predict demo/run demo/new.csv -o demo/predictions.csv
	$(BIN)/modelwright report demo/run
	@$(BIN)/python scripts/demo_summary.py demo

test: lint docs ## what continuous integration runs: lint, docs, tests
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow"

test-slow: $(VENV)/.stamp-dev ## the tests that take long
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.stamp-dev ## style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.stamp-dev ## put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.stamp-dev ## build the documentation into site/
	$(BIN)/mkdocs build --strict --quiet

docs-serve: $(VENV)/.stamp-dev ## show the documentation while it is written
	$(BIN)/mkdocs serve

bench: $(VENV)/.stamp-bench ## speed and search quality beside the peers
	@for script in $(filter-out benchmarks/search_suite.py,$(wildcard benchmarks/*.py)); do echo "== $$script"; $(BIN)/python "$$script" || exit 1; done

bench-search: $(VENV)/.stamp-bench-search ## our search beside the peers' stored results (MODELWRIGHT_BENCH_SEARCH: their folder)
	$(BIN)/python benchmarks/search_suite.py $(SEARCH)

changelog: $(VENV)/.stamp-dev ## show the change log of the next release
	$(BIN)/towncrier build --draft --version next

clean: ## remove what these commands made
	rm -rf $(VENV) demo site build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests scripts benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.stamp-user: pyproject.toml constraints.txt scripts/setup.sh
	sh scripts/setup.sh $(VENV)

$(VENV)/.stamp-dev: pyproject.toml constraints.txt scripts/setup.sh
	sh scripts/setup.sh $(VENV) dev

$(VENV)/.stamp-bench: pyproject.toml constraints.txt scripts/setup.sh scripts/bench-requirements.txt
	sh scripts/setup.sh $(VENV) bench

$(VENV)/.stamp-bench-search: pyproject.toml constraints.txt scripts/setup.sh scripts/bench-search-requirements.txt
	sh scripts/setup.sh $(VENV) bench-search
