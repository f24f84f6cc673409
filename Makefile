# Rollcall: `make` alone says what there is.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install run test test-both test-nightly coverage check format bench schema golden

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## Install Rollcall and everything it needs into .venv

$(STAMP): pyproject.toml requirements.lock
	@for python in python3.13 python3.12 python3.11 python3; do \
	    if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then echo "Rollcall needs Python 3.11 or later, and found none." >&2; exit 1; fi; \
	[ -x $(BIN)/python ] || $$found -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: install ## Migrate, make the first admin, and serve on http://127.0.0.1:8055
	@$(BIN)/rollcall bootstrap
	@$(BIN)/rollcall quickstart
	@exec $(BIN)/rollcall serve

test: install ## Run the suite: on SQLite, and on PostgreSQL where one answers
	$(BIN)/pytest --numprocesses auto --maxprocesses 3 --dist worksteal

test-both: install ## Compare every answer of the suite with the one from its plan, then do without plans
	$(BIN)/pytest --compare-plans
	GRAPHQL_PLANS=false $(BIN)/pytest

test-nightly: install ## Run everything, the long properties too
	$(BIN)/pytest --hypothesis-profile=nightly -m "nightly or not nightly"

coverage: install ## Run the suite and fail if fewer lines and branches are covered than the floor
	$(BIN)/pytest --numprocesses auto --maxprocesses 3 --dist worksteal --cov --cov-report=term

check: install ## Lint, types, the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## Lay the code out as `make check` wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install ## Compare with a bare handler in the same run, and print the ratios
	$(BIN)/python -m tests.bench.run
	$(BIN)/python -m tests.bench.access
	$(BIN)/python -m tests.bench.disturbances
	$(BIN)/python -m tests.bench.sign_in
	$(BIN)/python -m tests.bench.files

schema: install ## Write schema.graphql anew
	$(BIN)/rollcall schema > schema.new && mv schema.new schema.graphql

golden: install ## Write the golden files anew; look at what changed before committing
	$(BIN)/pytest tests/golden --write-golden
