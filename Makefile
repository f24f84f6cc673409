# Rollcall: `make` without a target lists the targets.

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEV_INSTALLED := $(VENV)/.installed-dev
BROWSER_INSTALLED := $(VENV)/.installed-browser
DOCS_INSTALLED := $(VENV)/.installed-docs
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
LOCK := uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-header

.DEFAULT_GOAL := help
.PHONY: help install install-dev run test test-more test-both test-nightly test-browser coverage check format bench schema golden \
    docs docs-serve docs-generate translations lock

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## Install Rollcall and what running it needs into .venv

install-dev: $(DEV_INSTALLED) ## Install what the tests and checks need, too

$(INSTALLED): pyproject.toml requirements.lock
	@for python in python3.13 python3.12 python3.11 python3; do \
	    if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then echo "Rollcall needs Python 3.11 or later, but none was found. Install one." >&2; exit 1; fi; \
	[ -x $(BIN)/python ] || $$found -m venv $(VENV)
	$(PIP) --require-hashes -r requirements.lock
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(DEV_INSTALLED): $(INSTALLED) requirements-dev.lock
	$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

$(BROWSER_INSTALLED): $(DEV_INSTALLED) requirements-browser.lock
	$(PIP) --require-hashes -r requirements-browser.lock
	@touch $@

$(DOCS_INSTALLED): $(INSTALLED) requirements-docs.lock
	$(PIP) --require-hashes -r requirements-docs.lock
	@touch $@

run: install ## Migrate, create the first admin, and serve on http://127.0.0.1:8055
	@exec $(BIN)/rollcall quickstart --serve

test: install-dev ## Run the tests on SQLite, and on PostgreSQL if a server answers
	$(BIN)/pytest --numprocesses auto --maxprocesses 3 --dist worksteal

test-more: install-dev ## Run the tests that `make test` leaves out, except the nightly ones
	$(BIN)/pytest --numprocesses auto --maxprocesses 3 --dist worksteal -m "(slow or other_database) and not nightly"

test-both: install-dev ## Run the tests comparing every response with the one from its plan, then without plans
	$(BIN)/pytest --both-ways -m "not nightly"
	GRAPHQL_PLANS=false $(BIN)/pytest -m "not nightly"

test-nightly: install-dev ## Run all tests, including the long ones
	$(BIN)/pytest --hypothesis-profile=nightly -m ""

test-browser: $(BROWSER_INSTALLED) ## Run the tests of the Studio in Chromium, if it is installed
	@$(BIN)/python -m tests.browser.axe_script || true
	@$(BIN)/python -m tests.browser.openid_provider || true
	@if $(BIN)/python -m tests.browser.requirements; then $(BIN)/pytest tests/browser --numprocesses 2; fi

coverage: install-dev ## Run the tests; fail if coverage of lines and branches is below the floor
	$(BIN)/pytest --numprocesses auto --maxprocesses 3 --dist worksteal -m "not nightly" --cov --cov-report=term

check: install-dev ## Check lint, format, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install-dev ## Fix lint and format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install-dev ## Run the benchmarks against bare handlers and print the ratios
	$(BIN)/python -m tests.bench.run
	$(BIN)/python -m tests.bench.access
	$(BIN)/python -m tests.bench.who_can
	$(BIN)/python -m tests.bench.simulation
	$(BIN)/python -m tests.bench.api_tokens
	$(BIN)/python -m tests.bench.disturbances
	$(BIN)/python -m tests.bench.sign_in
	$(BIN)/python -m tests.bench.files
	$(BIN)/python -m tests.bench.studio --users 300 --users 100000

schema: install ## Rewrite schema.graphql
	$(BIN)/rollcall schema > schema.new && mv schema.new schema.graphql

golden: install-dev ## Rewrite the golden files; read the diff before you commit
	$(BIN)/pytest tests/golden --write-golden

# Material for MkDocs prints a notice about MkDocs 2, which is not used here: the lock file pins version 1
docs docs-serve: export NO_MKDOCS_2_WARNING = 1

docs: $(DOCS_INSTALLED) ## Build the documentation as a site in build/site; a wrong link fails
	$(BIN)/mkdocs build --strict

docs-serve: $(DOCS_INSTALLED) ## Show the documentation at http://127.0.0.1:8000
	$(BIN)/mkdocs serve

docs-generate: install-dev ## Rewrite the parts of the documentation that are generated from the code
	$(BIN)/python -m tests.readme.generated

translations: install-dev ## Update the German texts of the Studio from the code, and compile them
	$(BIN)/python -m tests.studio.catalog

lock: ## Update the locked dependencies; needs uv
	$(LOCK) --extra s3 --group build -o requirements.lock
	$(LOCK) --extra s3 --extra dev --group build -c requirements.lock -o requirements-dev.lock
	$(LOCK) --extra docs -c requirements-dev.lock -o requirements-docs.lock
	$(LOCK) --extra browser -c requirements-dev.lock -o requirements-browser.lock
