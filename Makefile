# Everything a person does with this checkout. `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet
# Measuring costs time, so only the tests that have to cover warning_service/access are measured.
ACCESS := tests/access tests/sign_in tests/keeping tests/messaging/test_interactions.py tests/test_cli.py \
	tests/test_cli_accounts.py tests/teacher_portal/test_second_factor.py tests/teacher_portal/test_trail.py

.PHONY: help demo test cover check bench screenshots lock clean
.DEFAULT_GOAL := help

help:  ## Say what each target does
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/.run  ## Build the made-up town (first time: one to two minutes) and serve it on 127.0.0.1:8000
	$(BIN)/kizashi demo

test: cover  ## Run all tests, PostgreSQL and browser included; those of access/ are measured
	$(BIN)/pytest -n 3 --dist loadgroup $(addprefix --ignore=,$(ACCESS))

cover: $(VENV)/.dev $(VENV)/.browser  ## Only the tests of access/; names each branch they leave out, fails below 100 %
	$(BIN)/pytest -n 3 --dist loadgroup $(ACCESS) --cov=warning_service.access --cov-branch --cov-report=term-missing:skip-covered --cov-fail-under=100

check: $(VENV)/.dev  ## Linters, types, import rules, migrations head, house rules, security
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m tests.house_rules
	$(BIN)/bandit -q -c pyproject.toml --severity-level medium -r warning_service student_checkin teacher_portal connectors models design demo
	$(BIN)/python -m tests.audit_dependencies

bench: $(VENV)/.dev  ## Run every benchmark (ten minutes); DATA="FOLDER … --self-checks FOLDER …" adds list quality
	$(BIN)/python benchmarks/intake.py
	$(BIN)/python benchmarks/alert_latency.py
	$(BIN)/python benchmarks/lists.py
	$(BIN)/python benchmarks/odd_looks.py
	$(if $(DATA),$(BIN)/python benchmarks/judgement.py $(DATA))

screenshots: $(VENV)/.dev $(VENV)/.browser  ## Walk the demo town in a browser and keep pictures in docs/screenshots
	$(BIN)/python -m tests.browser.screenshots docs/screenshots

lock:  ## Write requirements/*.txt again from pyproject.toml (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra build pyproject.toml -o requirements/run.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra build --extra dev -c requirements/run.txt pyproject.toml -o requirements/dev.txt

clean:  ## Remove the environment and the demo town
	rm -rf $(VENV) var

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit("Kizashi needs Python 3.11 or newer; try: make PYTHON=python3.12 …") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements/run.txt pyproject.toml | $(BIN)/python
	@echo "Installing what requirements/run.txt pins …"
	$(PIP) install --no-compile --require-hashes -r requirements/run.txt
	$(PIP) install --no-build-isolation --no-deps -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	@echo "Installing what requirements/dev.txt pins …"
	$(PIP) install --no-compile --require-hashes -r requirements/dev.txt
	@touch $@

$(VENV)/.browser: $(VENV)/.dev
	$(BIN)/python -m tests.browser.provide
	@touch $@
