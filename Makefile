# `make demo` and `make test` set up their own environment in .venv.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
DOC_STAMP := $(VENV)/.installed-doc
# Each process computes with one thread; files stay whole, as they share fixtures, and in
# order: by number of tests, long files of few tests would come last and find one process.
PARALLEL ?= -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-slow bench lint doc clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable ".[test,lint]"
	touch $(STAMP)

$(DOC_STAMP): $(STAMP)
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable ".[doc]"
	touch $(DOC_STAMP)

demo: $(STAMP)  ## train on made phantoms, print a table, write demo.png
	$(VENV)/bin/python -m sklearn_ei.demo $(ARGS)

test: $(STAMP) lint  ## the linters and the default tests
	$(VENV)/bin/python -m pytest $(PARALLEL) $(ARGS)

test-slow: $(STAMP)  ## the tests that take minutes
	$(VENV)/bin/python -m pytest -m slow $(PARALLEL) $(ARGS)

bench: $(STAMP)  ## what training costs beyond the network: a table, JSON and a plot
	$(VENV)/bin/python benchmarks/speed.py --plot speed.png $(ARGS)

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/codespell
	$(VENV)/bin/mypy

doc: $(DOC_STAMP)  ## the site, doc/_build/html/index.html; examples that changed are run
	$(VENV)/bin/sphinx-build -W --keep-going -b html doc doc/_build/html
	$(VENV)/bin/python tools/check_site.py doc/_build/html

clean:
	rm -rf $(VENV) dist doc/_build doc/auto_examples doc/generated doc/sg_execution_times.rst
