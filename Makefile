# One command each, on a fresh clone with nothing but Python 3.11 and make.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help

.PHONY: help install demo test lint types check bench-scorer bench-render bench-gpu simtest calibrate clean

help:            ## this list
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/  make \1\t\2/p' Makefile | expand -t 20

# The stamp is newer than what it was made from, so that a second call costs nothing.
.venv/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"Python 3.11 or newer is needed, this is {v[0]}.{v[1]}: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

install: .venv/.installed  ## .venv with everything a contributor needs

demo: install    ## render, score, trim and circle the demo catalog
	$(BIN)/farm run jobs/demo.yaml

test: install    ## all tests that this machine can run
	$(BIN)/python -m pytest

lint: install    ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install   ## mypy --strict
	$(BIN)/mypy

check: lint types test  ## what CI runs

bench-scorer: install  ## is the scorer better than VBench-style metrics? (first time: 50 minutes on two cores; ARGS=--quick)
	OMP_NUM_THREADS=1 $(BIN)/python tests/bench/bench_scorer.py $(ARGS)

bench-render: install  ## what the farm adds to rendering and what it saves, on a tiny model (ARGS="--family svd")
	OMP_NUM_THREADS=1 PYTHONPATH=tests $(BIN)/python tests/bench/bench_render.py $(ARGS)

bench-gpu: install  ## the same on models of real size; needs a CUDA device (ARGS="--model ltx-video")
	PYTHONPATH=tests:tests/gpu $(BIN)/python tests/bench/bench_gpu.py $(ARGS)

simtest: install  ## runs under random faults in virtual time, all promises held at every event (SEEDS=100000 FIRST=0)
	$(BIN)/python tests/simtest --first $(or $(FIRST),0) --seeds $(or $(SEEDS),2000)

calibrate: install  ## fit the scorer's limits to the development set again, and draw how reliable they are
	OMP_NUM_THREADS=1 $(BIN)/python tests/bench/calibrate.py
	OMP_NUM_THREADS=1 $(BIN)/python tests/bench/calibrate.py --diagram

clean:           ## forget the virtual environment, the demo's run and the development set
	rm -rf .venv runs build
