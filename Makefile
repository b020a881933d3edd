# Needs Python 3.11 or newer, nothing else. Everything goes into .venv here; nothing is installed elsewhere.
#   make quickstart   install, then tune PPO on CartPole (about a minute)
#   make test         format, lint, types, import order, tests that take seconds
#   make test-all     the same, with the tests that take minutes
#   make lint         format, lint, types, import order
#   make clean        remove what these made (studies are kept)

PYTHON ?= python3
VENV ?= .venv
# Tests run in as many processes; each is one core's worth of work.
WORKERS ?= 2
PYTEST_ARGS ?=

BIN := $(VENV)/bin
# With the flags that studies have; tests compile otherwise where nothing is said, which is quicker.
AS_USERS := AUTORL_TESTS=as-users
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
INPUTS := pyproject.toml constraints.txt

.PHONY: quickstart test test-all lint clean
.DELETE_ON_ERROR:

quickstart: $(VENV)/.installed
	$(BIN)/autorl run quickstart

test: lint
	$(PYTEST) -m "not slow and not bits" $(PYTEST_ARGS)
	$(AS_USERS) $(PYTEST) -m "bits and not slow" $(PYTEST_ARGS) $$(grep -rl "pytest.mark.bits" tests) || [ $$? -eq 5 ]

test-all: lint
	$(AS_USERS) $(PYTEST) --hypothesis-profile=thorough $(PYTEST_ARGS)

lint: $(VENV)/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A virtual environment that works is kept; one that is broken (its Python was removed) or missing is made anew.
define virtual_environment
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "AutoRL needs Python 3.11 or newer; say which: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
endef

$(VENV)/.installed: $(INPUTS)
	$(virtual_environment)
	@echo "Installing AutoRL and what it needs into $(VENV) (about 1 GB) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-test: $(INPUTS)
	$(virtual_environment)
	@echo "Installing AutoRL, what it needs and the tools of its tests into $(VENV) (about 2 GB) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@ $(VENV)/.installed
