# Rollcall: `make` without a target lists the targets.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install run test test-both test-nightly coverage check format bench schema golden

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## Install Rollcall and its locked dependencies into .venv

$(STAMP): pyproject.toml requirements.lock
	@for python in python3.13 python3.12 python3.11 python3; do \
	    if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then echo "Rollcall needs Python 3.11 or later, but none was found. Install one." >&2; exit 1; fi; \
	[ -x $(BIN)/python ] || $$found -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: install ## Migrate, create the first admin, and serve on http://127.0.0.1:8055
	@$(BIN)/rollcall bootstrap
	@$(BIN)/rollcall quickstart
	@exec $(BIN)/rollcall serve

test: install ## Run the tests on SQLite, and on PostgreSQL if a server answers
	$(BIN)/pytest --numprocesses auto --maxprocesses 3 --dist worksteal

test-both: install ## Run the tests comparing every response with the one from its plan, then without plans
	$(BIN)/pytest --both-ways
	GRAPHQL_PLANS=false $(BIN)/pytest

test-nightly: install ## Run all tests, including the long ones
	$(BIN)/pytest --hypothesis-profile=nightly -m "nightly or not nightly"

coverage: install ## Run the tests; fail if coverage of lines and branches is below the floor
	$(BIN)/pytest --numprocesses auto --maxprocesses 3 --dist worksteal --cov --cov-report=term

check: install ## Check lint, format, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## Fix lint and format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install ## Run the benchmarks against bare handlers and print the ratios
	$(BIN)/python -m tests.bench.run
	$(BIN)/python -m tests.bench.access
	$(BIN)/python -m tests.bench.disturbances
	$(BIN)/python -m tests.bench.sign_in
	$(BIN)/python -m tests.bench.files

schema: install ## Rewrite schema.graphql
	$(BIN)/rollcall schema > schema.new && mv schema.new schema.graphql

golden: install ## Rewrite the golden files; read the diff before you commit
	$(BIN)/pytest tests/golden --write-golden
