# Every target sets up what it needs in .venv: Python >= 3.11 is all that must be there.

PYTHON ?= python3
BIN := .venv/bin
RUNTIME := .venv/.runtime
DEV := .venv/.dev
TITLES ?= $(wildcard ../shared/data/titles.jsonl.gz)

KILLS ?= 1000
SEED ?= 1
HOURS ?= 100000
FIRST ?= 0

.PHONY: run demo test lint format bench kill simulate picture lock clean

run: $(RUNTIME)
	@$(BIN)/cliffhanger run

demo: $(RUNTIME)
	@$(BIN)/cliffhanger demo

test: lint
	$(BIN)/python -m pytest --numprocesses=3 --dist=loadgroup --cov --cov-report=term:skip-covered

lint: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

format: $(DEV)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(DEV)
	$(BIN)/python -m tests.bench $(if $(TITLES),--titles $(TITLES))

# The bot killed a thousand times on each platform, at random and at named points: some ten minutes.
kill: $(DEV)
	$(BIN)/python -m tests.kill --kills $(KILLS)

# Days in seconds: the engine on a virtual clock, with faults; the same seed is the same history.
simulate: $(DEV)
	$(BIN)/python -m tests.simulation --seed $(SEED) --first $(FIRST) --hours $(HOURS)

# The pictures in the README, recorded from the real terminal and from chats on the fakes.
picture: $(DEV)
	$(BIN)/python -m tests.picture docs/demo.svg
	$(BIN)/python -m tests.telegram_picture docs/telegram.svg
	$(BIN)/python -m tests.discord_picture docs/discord.svg

# The locks hold for every Python >= 3.11 and every system, name no index, and agree: what is tested
# is what runs.
lock: $(DEV)
	$(BIN)/uv pip compile pyproject.toml build.in --extra dev $(LOCK_OPTIONS) --output-file requirements-dev.txt
	$(BIN)/uv pip compile pyproject.toml build.in $(LOCK_OPTIONS) --constraint requirements-dev.txt \
		--output-file requirements.txt

LOCK_OPTIONS := --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-header --no-annotate --quiet

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv .venv

$(RUNTIME): requirements.txt pyproject.toml | .venv/bin/python
	@echo "Setting up (once, about half a minute) …"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): requirements-dev.txt $(RUNTIME)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@
