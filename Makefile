# Two commands do all: `make book` and `make test`. Each target is a thin layer over a
# `python -m tools.…` that can be typed without make, on Windows too: README.md lists them.

# Python 3.11, 3.12 or 3.13: `make book PYTHON=/path/to/python` names one. Otherwise the
# environment's own is taken, or the first that answers: a name may be there and not work.
# What users set for a Python of their own would break the book's, or skip its assertions.
FOREIGN = PYTHONHOME PYTHONPATH PYTHONSAFEPATH PYTHONOPTIMIZE PYTHONWARNINGS
unexport $(FOREIGN)
FITS = import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON := $(or $(PYTHON),$(shell unset $(FOREIGN); for python in .venv/bin/python .venv/Scripts/python \
  python3.11 python3.12 python3.13 python3 python; do \
  "$$python" -c '$(FITS)' 2>/dev/null && { echo "$$python"; break; }; done),python3)
PORT ?= 8000
N ?= 20
FROM ?= submissions
TO ?= grades

comma := ,
VENV ?= _build/package

BIN = .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
BUILD = $(BIN)/python -m tools.site.build

# Installs what is missing; returns at once where nothing is.
SETUP = command -v "$(PYTHON)" >/dev/null || \
  { echo "PYTHON is '$(PYTHON)': there is no such program." >&2; exit 2; }; \
  "$(PYTHON)" -m tools.setup --quiet

.DEFAULT_GOAL := help
.PHONY: help book check test test-package bench replicate seeds experiments assignments grade
.PHONY: serve lab links lock upgrade lighthouse pdf picture clean
.PHONY: install install-test install-teach which-assignment
.NOTPARALLEL:                # one installation at a time, whatever `make -j` says

help:  ## say what there is to make
	@echo "Gates & Gradients. Targets:"
	@sed -n 's/^\([a-z-]*\):.*##/  make \1\t/p' Makefile

book: install  ## execute what changed and build the site into _build/html
	@$(BUILD)

check: install-test  ## check a change: format, lint, spelling, types, quick tests (1 min)
	@$(BIN)/python -m tools.check

test: install-test assignments book  ## build the book, then run every test
	@$(BIN)/python -m pytest -n logical --dist loadgroup --no-loadscope-reorder

# With EXTRA=book, against Keras too; without it, what needs Keras is skipped, in CI as well.
test-package:  ## test the package alone, on another Python (PYTHON=python3.13 VENV=/tmp/3.13 EXTRA=book)
	@"$(PYTHON)" -m venv "$(VENV)"
	@"$(VENV)/bin/python" -m pip install --quiet --disable-pip-version-check \
	  --constraint tests/requirements.lock -e ".[test$(if $(EXTRA),$(comma)$(EXTRA))]"
	@$(if $(EXTRA),,CI=) "$(VENV)/bin/python" -m pytest -n logical -m "not browser" tests/unrolled

bench: install-test install-teach  ## time the package against Keras, and the grading of a class (12 min)
	@$(BIN)/python -m tools.experiments.bench
	@$(BIN)/python -m tests.tools.grading.bench

replicate: install  ## confirm the claims on ten fresh base seeds (an hour; SEEDS="100 101" DIGITS=mine.npz SCHEDULER=)
	@$(BIN)/python -m tools.experiments.replicate $(if $(SEEDS),--seeds $(SEEDS)) \
	  $(if $(DIGITS),--digits "$(DIGITS)") $(if $(SCHEDULER),--scheduler "$(SCHEDULER)")

seeds: install  ## run every page under fresh base seeds: can one stop it? (N=20, 3 h; SEEDS= ONLY= SCHEDULER=)
	@$(BIN)/python -m tools.experiments.seeds $(if $(SEEDS),--seeds $(SEEDS),--draw "$(N)") \
	  $(if $(ONLY),--only "$(ONLY)") $(if $(SCHEDULER),--scheduler "$(SCHEDULER)")

experiments: install  ## repeat the recorded runs that a page shows beside its own (eight hours)
	@$(BIN)/python -m tools.experiments.record --again

assignments: install-teach  ## make hand-outs and autograders from the masters
	@$(BIN)/python -m tools.grading.assign

grade: which-assignment install-teach  ## grade a class (ASSIGNMENT=a2 FROM=submissions TO=grades SCHEDULER=tcp://…)
	@$(BIN)/python -m tools.grading.grade "$(ASSIGNMENT)" "$(FROM)" --output "$(TO)" \
	  $(if $(AGAIN),--again) $(if $(UNSAFE),--unsafe) \
	  $(if $(SCHEDULER),--scheduler "$(SCHEDULER)")

serve: book  ## show the site at localhost (PORT=8000)
	@$(BIN)/python -m tools.site.serve --port "$(PORT)"

# Jupyter refuses root, as whom everything in a container runs, unless it is told.
lab: install  ## open the notebooks in JupyterLab
	@$(BIN)/python -m jupyterlab $(if $(filter 0,$(shell id -u)),--allow-root) book/index.ipynb

links: book  ## ask every address that a page links to (needs the network)
	@$(BIN)/jupyter-book build _build/source --path-output _build/links --builder linkcheck

lock: install-test  ## solve the locks anew from the lists, prove and write them
	@$(BIN)/python -m tools.lock

upgrade: install-test  ## raise every pin to its newest version, then lock
	@$(BIN)/python -m tools.lock --upgrade

pdf: install-test book  ## print the book to PDFs, for students and for teachers, which join the site (needs Chromium)
	@$(BIN)/python -m tools.site.pdf

lighthouse: install-test assignments book  ## score every page as a phone sees it (PAGES=…; needs Chromium; 30 min)
	@$(BIN)/python -m tools.site.lighthouse $(PAGES)

picture: install-test book  ## photograph the site for README.md (needs Chromium)
	@$(BIN)/python -m tools.browser .github/site.png

clean:  ## remove the environment and everything built
	rm -rf .venv .venv.old _build build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis unrolled.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

which-assignment:
	@test -n "$(ASSIGNMENT)" || { echo "Which assignment? For example:" \
	  "make grade ASSIGNMENT=a1 FROM=submissions TO=grades" >&2; exit 2; }

install:  ## install what the book needs into .venv
	@$(SETUP) book

install-test:
	@$(SETUP) test

install-teach:
	@$(SETUP) teach
