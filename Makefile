# `make help` lists what there is. Everything that is made goes below build/; `make clean` removes it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

VENV := build/venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Caches and temporary files of every tool, here and in the processes it starts.
export PIP_CACHE_DIR := $(CURDIR)/build/pip-cache
export PYTHONPYCACHEPREFIX := $(CURDIR)/build/pycache
export TMPDIR := $(CURDIR)/build/tmp
export HYPOTHESIS_STORAGE_DIRECTORY := $(CURDIR)/build/hypothesis
export PRE_COMMIT_HOME := $(CURDIR)/build/pre-commit

# What a caller may set.
export IMAGES ATTACK BRAKE FAST UPGRADE PYTHON
PYTEST_ARGS ?=
BENCH_ARGS ?=
SEEDS ?= 1..200
SIM_ARGS ?=
ATTACKS_ARGS ?=
DEB_ARGS ?=
C_SOURCES = $(shell find firmware -name '*.[ch]' ! -name fw_codes.h | sort)

.PHONY: help setup demo test test-board check format firmware bench sim attacks generate lock wheel deb clean

help: ## list these targets
	@printf 'Marque: over-the-air updates for vehicles. Targets:\n\n'
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)$$/  make \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '%-18s %s\n' "$$name" "$$text"; done
	@printf '\n  make demo IMAGES="brake=path body=path"   install your own images\n'
	@printf '  make demo ATTACK=name                     replay an attack and see which check refuses it\n'
	@printf '  make demo BRAKE=qemu                      the brake controller is the C firmware on an emulated Cortex-M3\n'
	@printf '  make demo FAST=1                          do not pace the buses as real ones would be\n'
	@printf '  make test PYTEST_ARGS="-k threshold"      some of the tests\n'
	@printf '  make sim SEEDS=fresh SIM_ARGS="--minutes 30" seeds nobody has run before\n'

setup: $(READY) ## make the environment build/venv from the lock file (the others do it by themselves)

$(READY): requirements/dev.txt pyproject.toml .ci/setup
	@mkdir -p "$(TMPDIR)"
	@.ci/setup $(VENV)
	@touch $@

demo: $(READY) $(if $(filter qemu,$(BRAKE)),firmware) ## one update end to end, with real processes, and a table of what is proven at the end
	@mkdir -p "$(TMPDIR)"
	@case "$${FAST:-}" in ''|0) fast= ;; *) fast=--fast ;; esac; \
	exec $(BIN)/python -m demo $${IMAGES:+--images "$$IMAGES"} $${ATTACK:+--attack "$$ATTACK"} $${BRAKE:+--brake "$$BRAKE"} $$fast

# First what computes, and beside it the rigs, which wait with a watch in the hand: on a machine that is busier than this
# an emulated controller loses ticks. Then who waits for processes, servers and boards, more of them at a time, for each
# leaves a core idle for half of its time. At last, one by one, what uses every core by itself. The longest files come
# first (tests/conftest.py). Each part says what it skipped.
WAITING := $(wildcard $(addprefix tests/,board deploy peers shell system test_extras.py))
PARALLEL := --dist loadfile --no-loadscope-reorder -m "not alone and not emulated"
test: firmware ## every test
	@mkdir -p "$(TMPDIR)"
	@tests/board/tools.sh || echo 'the emulated board is left out: its tests skip'
ifeq ($(strip $(PYTEST_ARGS)),)
	@failed=0; \
	$(BIN)/python -m pytest -n 2 $(PARALLEL) $(addprefix --ignore ,$(WAITING)) || failed=1; \
	$(BIN)/python -m pytest -n 4 $(PARALLEL) $(WAITING) || failed=1; \
	$(BIN)/python -m pytest -m alone $$(grep -rl --include='test_*.py' 'mark\.alone' tests) || failed=1; \
	exit $$failed
else
	@$(BIN)/python -m pytest $(PYTEST_ARGS)
endif

test-board: $(READY) ## an emulated arm64 board with Debian: packages, units, update, power cuts, the kernel's ISO-TP
	@mkdir -p "$(TMPDIR)"
	@tests/board/tools.sh
	@$(BIN)/python -m pytest -s tests/board

firmware: $(READY) ## the microcontroller's Secondary: for the emulated board, and for this machine's tests and fuzzers
	@mkdir -p "$(TMPDIR)"
	@firmware/tools/toolchain.sh
	@$(MAKE) -j 2 -C firmware host qemu
	@$(MAKE) -j 2 -C firmware -f fuzz/fuzz.mk fuzz

check: $(READY) ## formatting, lint, types, import contracts, the style as a test, generated files are fresh
	@mkdir -p "$(TMPDIR)"
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/clang-format --dry-run --Werror $(C_SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports --cache-dir build/import_linter | sed -n '/^Contracts:/p;/BROKEN$$/p;/not allowed/,$$p'
	$(BIN)/python -m pytest -q tests/test_tidy.py tests/test_tidy_firmware.py tests/test_generated.py

format: $(READY) ## format the sources and repair what lint can repair
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/clang-format -i $(C_SOURCES)

bench: firmware ## every figure beside its peer: a table, and build/bench.json
	@mkdir -p "$(TMPDIR)"
	@$(BIN)/python -m bench $(BENCH_ARGS)

sim: $(READY) ## simulate seeds 1 to 200 with every fault, and show seed 1 as a page in build/sim/
	@mkdir -p "$(TMPDIR)" build/sim
	@$(BIN)/python -m sim run --seed 1 --trace build/sim/seed-1.trace --page build/sim/seed-1.html
	@$(BIN)/python -m sim soak --seeds $(SEEDS) --traces build/sim $(SIM_ARGS)

attacks: $(READY) ## play every attack with every set of stolen keys, and print what was expected beside what was measured
	@mkdir -p "$(TMPDIR)"
	@$(BIN)/python -m sim attacks $(ATTACKS_ARGS)

generate: $(READY) ## write the generated files anew (gRPC stubs, codec table, ...)
	@find uptane director image_repo primary secondary firmware docs tests -name generate.py | sort | while read -r file; do \
		module=$${file%.py}; echo "generate: $$file"; $(BIN)/python -m "$${module//\//.}"; done

lock: $(READY) ## write requirements/*.txt anew from pyproject.toml (UPGRADE=1: newest versions)
	@mkdir -p "$(TMPDIR)"
	@.ci/lock $(VENV)

wheel: $(READY) ## build/dist/marque-*.whl, installable as marque[secondary] and so on
	@mkdir -p "$(TMPDIR)"
	@$(BIN)/python -m build --wheel --no-isolation --outdir build/dist . | tail -1

deb: $(READY) ## build/deb/*.deb: Primary and Secondary for boards (DEB_ARGS="--architecture arm64": one of them)
	@mkdir -p "$(TMPDIR)"
	@$(BIN)/python -m deploy $(DEB_ARGS)

clean: ## remove build/, and with it everything that was ever made
	rm -rf build
