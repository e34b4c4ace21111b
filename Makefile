# Everything works on a fresh machine with Python 3.11 (venv, pip) and make.
PYTHON ?= python3
BIN := .venv/bin
# `make setup EXTRAS=llamacpp,nf4,track,dev` adds what a GPU machine needs (docs/install.md).
EXTRAS ?= llamacpp,nf4,dev

.PHONY: setup study lint types test unit avx2 check bench docs clean

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q -c constraints.txt torch
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[$(EXTRAS)]'
	touch $@

study: setup
	$(BIN)/seemant models fetch
	$(BIN)/seemant study run quick
	@echo "open runs/quick/report.html"

lint: setup
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks

types: setup
	$(BIN)/mypy

unit: setup
	$(BIN)/pytest -q -m "not real and not slow and not gpu and not network"

test: setup
	$(BIN)/seemant models fetch
	$(BIN)/pytest -q -m "not slow and not gpu and not network"

# What depends on the CPU's instructions, on a CPU held to AVX2: oneDNN, torch, MKL, OpenBLAS and
# numpy each have a setting of their own; llama.cpp's wheel is built for AVX2 and has no other code.
AVX2 := ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 \
	OPENBLAS_CORETYPE=Haswell NPY_DISABLE_CPU_FEATURES="X86_V4 AVX512_ICL AVX512_SPR"
avx2: setup
	$(AVX2) $(BIN)/pytest -q -m "not slow and not gpu and not network" tests/models/frozen \
		tests/models/decoder tests/train/loss tests/train/memory tests/train/pretrain \
		tests/train/test_run.py tests/train/test_compute.py tests/core/test_capability.py

check: lint types test avx2

bench: setup
	for name in load_model sampling kill_resume loss_stage memory_plan loss_parity train_speed \
		edge_memory adapters pretrain_speed behaviour_alarm gguf_lossless gptq_agrees quantise_speed \
		kld_vs_kquants kld_vs_quantisers smallest_file qat_recovery calibration_language tuned_at_four_bits; do $(BIN)/python benchmarks/$$name.py || exit 1; done

docs: setup
	$(BIN)/mkdocs build --strict

clean:
	rm -rf .venv site build dist .mypy_cache .ruff_cache .pytest_cache
