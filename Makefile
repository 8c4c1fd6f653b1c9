# make train   makes .venv, installs, trains on real data, no download
# make test    makes .venv, installs, runs every test
# make lint    checks style
# make bench   makes .venv, installs, runs the benchmarks, writes docs/
# make docs    makes .venv-docs, installs, builds the site in docs/_build/html
# make clean   removes the environments and what tools keep here
# Options: PYTHON=python3.12  VENV=.venv312  ARGS='--config=configs/x.py'
#   TORCH_PYTHON=PATH  a Python with PyTorch, which make bench compares with

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
TORCH_PYTHON ?=
BIN := $(VENV)/bin
DOCS_VENV ?= .venv-docs

.PHONY: train test lint bench docs clean

train: $(VENV)/installed
	$(BIN)/python train.py $(ARGS)

test: $(VENV)/installed
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench: $(VENV)/installed
	$(BIN)/python benchmarks/suite.py --torch_python='$(TORCH_PYTHON)' $(ARGS)

docs: $(DOCS_VENV)/installed
	$(DOCS_VENV)/bin/python -m sphinx --fail-on-warning --keep-going --quiet \
	  --fresh-env --write-all docs docs/_build/html $(ARGS)
	@echo 'the site: docs/_build/html/index.html'

$(DOCS_VENV)/installed: requirements-docs.txt pyproject.toml
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check \
	  -r requirements-docs.txt
	touch $@

$(VENV)/installed: requirements.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit( \
	  "gan_jax needs Python 3.11 or newer, $(PYTHON) is %d.%d: make PYTHON=python3.12 ..." % v[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

clean:
	rm -rf $(VENV) $(DOCS_VENV) docs/_build docs/api .jax_cache .pytest_cache .ruff_cache
