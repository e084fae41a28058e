# make demo    run the quickstart as a job and say what to open next
# make test    all checks and tests: what continuous integration runs
# make lint    the checks alone          make format   let ruff rewrite the sources
# make bench   measure speed             make coverage what the tests reach in their own process
# make clean   remove the environment

PYTHON ?= python3
WORKERS ?= 2
QUICK := tests/unit tests/contracts tests/kernel tests/acceptance
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help demo test lint format bench coverage browser clean

help:
	@sed -n 's/^# make/make/p' Makefile

# A stamp says for which pyproject.toml an environment was installed. The one of the tests has all that the
# demo needs, and both install the checkout in place, so that only a change of the dependencies matters.
.venv/.for-demo: pyproject.toml .ci/environment
	@PYTHON="$(PYTHON)" .ci/environment examples
	@touch $@

.venv/.for-test: pyproject.toml .ci/environment
	@PYTHON="$(PYTHON)" .ci/environment test
	@touch .venv/.for-demo $@

demo: .venv/.for-demo
	@python .ci/demo.py

test: lint browser
	pytest -n $(WORKERS) $(QUICK) tests/faults
	pytest -n $(WORKERS) --dist loadfile tests/ui

lint: .venv/.for-test
	ruff check
	ruff format --check
	mypy
	lint-imports --no-cache

format: .venv/.for-test
	ruff check --fix
	ruff format

bench: .venv/.for-test
	pytest tests/benchmarks

coverage: .venv/.for-test
	coverage run -m pytest $(QUICK)
	coverage combine
	coverage report

browser: .venv/.for-test
	@.ci/browser

clean:
	rm -rf .venv
