# Two commands do all: `make book` and `make test`. Python 3.11 and make are enough.

# Any Python 3.11: `make book PYTHON=/path/to/python`
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PORT ?= 8000
N ?= 20
FROM ?= submissions
TO ?= grades

# What `make test-package` makes and runs: tests that need neither the site nor a browser.
VENV ?= _build/package
ALONE := $(addprefix tests/unrolled/,tasks course/test_measure.py test_doctests.py \
  test_inputs.py test_layers.py test_optimizers.py test_planted.py test_training.py)

TEACHING := tools/grading/requirements
HANDOUTS := _build/assignments/handouts/a1.zip

BIN := .venv/bin
BUILD := $(BIN)/python -m tools.site.build

.DEFAULT_GOAL := help
.PHONY: help book test test-package bench replicate seeds experiments assignments grade
.PHONY: serve lab links lock upgrade lighthouse pdf picture clean

help:  ## say what there is to make
	@echo "Gates & Gradients. Targets:"
	@sed -n 's/^\([a-z-]*\):.*##/  make \1\t/p' Makefile

book: .venv/installed  ## execute what changed and build the site into _build/html
	@$(BUILD)

test: assignments book  ## build the book, then run every test
	@$(BIN)/python -m pytest -n 2

test-package:  ## test the package alone, on another Python (PYTHON=python3.13 VENV=/tmp/3.13)
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(VENV)/bin/python -m pytest -n 2 $(ALONE)

bench: .venv/teaching  ## time the package against Keras, and the grading of a class (12 min)
	@$(BIN)/python -m tools.experiments.bench
	@$(BIN)/python -m tests.tools.grading.bench

replicate: .venv/installed  ## compare the verdicts of other base seeds (SEEDS="0 1 2 3 4" SCHEDULER=tcp://…)
	@$(BIN)/python -m tools.experiments.replicate --seeds $(or $(SEEDS),0 1 2 3 4) \
	  $(if $(SCHEDULER),--scheduler $(SCHEDULER))

seeds: .venv/installed  ## run every page under fresh base seeds: can one stop it? (N=20, 3 h; SEEDS= ONLY= SCHEDULER=)
	@$(BIN)/python -m tools.experiments.seeds $(if $(SEEDS),--seeds $(SEEDS),--draw $(N)) \
	  $(if $(ONLY),--only '$(ONLY)') $(if $(SCHEDULER),--scheduler $(SCHEDULER))

experiments: .venv/installed  ## repeat the recorded runs that a page shows beside its own (two hours)
	@$(BIN)/python -m tools.experiments.record --again

assignments: .venv/teaching  ## make hand-outs and autograders from the masters
	@$(MAKE) --no-print-directory $(HANDOUTS)

grade: .venv/teaching  ## grade a class (ASSIGNMENT=a2 FROM=submissions TO=grades SCHEDULER=tcp://…)
	@$(BIN)/python -m tools.grading.grade $(ASSIGNMENT) $(FROM) --output $(TO) \
	  $(if $(AGAIN),--again) $(if $(SCHEDULER),--scheduler $(SCHEDULER))

serve: book  ## show the site at localhost (PORT=8000)
	@echo "http://localhost:$(PORT)  (Ctrl-C ends it)"
	@$(BIN)/python -m http.server $(PORT) --bind localhost --directory _build/html

lab: .venv/installed  ## open the notebooks in JupyterLab
	@$(BIN)/python -m jupyterlab book/index.ipynb

links: book  ## ask every address that a page links to (needs the network)
	@$(BIN)/jupyter-book build _build/source --path-output _build/links --builder linkcheck

lock: .venv/installed  ## write requirements.lock anew from requirements.txt
	@$(BIN)/pip install --quiet uv==0.13.9
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	  --custom-compile-command "make lock" requirements.txt --output-file requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --constraints requirements.lock \
	  --custom-compile-command "make lock" requirements.txt $(TEACHING).txt --output-file $(TEACHING).lock

# For Python 3.11, as `make book`: newer Pythons may have newer versions.
upgrade: .venv/installed  ## raise every pin to its newest version, then lock
	@$(BIN)/pip install --quiet uv==0.13.9
	@mkdir -p _build
	@sed 's/==/>=/' requirements.txt | $(BIN)/uv pip compile --quiet --python-version 3.11 \
	  --no-header --no-annotate - --output-file _build/newest.txt
	@awk -F '==| ' 'NR == FNR {new[$$1] = $$2; next} \
	  $$1 in new {sub(/==[^ ]*/, "==" new[$$1])} {print}' \
	  _build/newest.txt requirements.txt > _build/raised.txt
	@cp _build/raised.txt requirements.txt
	@$(MAKE) --no-print-directory lock

pdf: book  ## print the whole book to a PDF, which joins the site (needs Chromium)
	@$(BIN)/python -m tools.site.pdf

lighthouse: assignments book  ## score every page as a phone sees it (PAGES=…; needs Chromium; 30 min)
	@$(BIN)/python -m tools.site.lighthouse $(PAGES)

picture: book  ## photograph the site for README.md (needs Chromium)
	@$(BIN)/python -m tools.browser .github/site.png

clean:  ## remove the environment and everything built
	rm -rf .venv _build .pytest_cache .ruff_cache .hypothesis unrolled.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The lock is complete, so pip has nothing to resolve: --no-deps. setuptools is in it too,
# so the package itself builds with the pinned one.
.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
	  { echo "The pins are for Python 3.11; '$(PYTHON)' is another one. Use: make PYTHON=..."; exit 1; }
	@echo "Installing into .venv (a few minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# What readers need not have. The lock of those who teach holds the readers' versions.
.venv/teaching: .venv/installed $(TEACHING).lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r $(TEACHING).lock
	@touch $@

$(HANDOUTS): $(wildcard book/assignments/*.ipynb book/assignments/*.py tools/grading/assign.py) \
             $(shell find unrolled -name "*.py" -o -name "*.toml" -o -name "*.csv") requirements.txt LICENSE
	@$(BIN)/python -m tools.grading.assign
