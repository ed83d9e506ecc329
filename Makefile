# make demo   set up, then clean a damaged photograph and show the result
# make test   set up, then run all tests
# make test-fast  … only those that take little and want nothing from outside
# make coverage   … these with their coverage of branches
# make lint   set up, then run linters and the type checker
# make docs   set up, then build the documentation into site/
# make clean  remove what the above made

PYTHON ?= python3
# Further arguments for installing torch, e.g. on Linux without an NVIDIA card:
# make demo TORCH_ARGS="--index-url https://download.pytorch.org/whl/cpu"
TORCH_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
FAST := "not slow and not external"
TORCH := $(shell grep '^torch==' constraints.txt)

.PHONY: demo test test-fast coverage lint docs reference clean

demo: $(VENV)/installed
	$(BIN)/darkroom demo --overwrite

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest -q

test-fast: $(VENV)/installed-dev
	$(BIN)/python -m pytest -q -m $(FAST)

coverage: $(VENV)/installed-dev
	$(BIN)/coverage run -m pytest -q -m $(FAST)
	$(BIN)/coverage report --skip-covered --skip-empty

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/installed-docs reference
	$(BIN)/mkdocs build --strict --quiet

reference: $(VENV)/installed
	$(BIN)/python docs/generate.py

# torch goes first and alone: asked for by another package, pip may choose a build with gigabytes
# of GPU libraries.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check $(TORCH) $(TORCH_ARGS)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[docs]"
	touch $@

clean:
	rm -rf $(VENV) site build darkroom-demo *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage dist
