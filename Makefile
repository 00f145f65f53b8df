# make          what there is
# make demo     train, evaluate and report on the embedded corpus
# make test     the whole test suite
# make test-extras   the tests that need TensorFlow and Apache Beam
#
# Everything is installed into .venv, in the versions of constraints.txt, for the
# accelerator found here. Choose otherwise with PYTHON=python3.12 and
# ACCELERATOR=cpu|cuda12|cuda13|tpu.

VENV := .venv
RUN := $(VENV)/bin/python
comma := ,
INSTALL := -m pip -qq --disable-pip-version-check install
export PIP_ROOT_USER_ACTION := ignore

# Names on PATH first, then pyenv's versions: its shims are on PATH for versions
# that are installed but not switched on, and those do not run.
define FIND_PYTHON
runs() { "$$1" -c 'import ctypes, ensurepip, ssl, sys, venv, zlib; \
  sys.exit(sys.version_info < (3, 11) or "t" in sys.abiflags)' \
  >/dev/null 2>&1; }; \
find_python() { \
  if [ -n "$(PYTHON)" ]; then \
    if runs "$(PYTHON)"; then echo "$(PYTHON)"; return 0; fi; \
    echo "error: PYTHON=$(PYTHON) does not run, is older than 3.11, or lacks" \
      "venv, ensurepip or ssl" >&2; return 1; \
  fi; \
  root=$$(pyenv root 2>/dev/null); \
  for version in 3.13 3.12 3.11 3.14; do \
    for python in "python$$version" python3 \
      "$$root/versions/$$version".*/bin/python$$version; do \
      if runs "$$python" && "$$python" --version | grep -q "n $$version\."; \
      then echo "$$python"; return 0; fi; \
    done; \
  done; \
  echo "error: no Python 3.11 to 3.14 that runs and has venv, ensurepip" \
    "and ssl: install one, or name one with make PYTHON=..." >&2; return 1; \
}
endef

ifndef ACCELERATOR
ACCELERATOR := $(shell \
  if nvidia-smi -L 2>/dev/null | grep -q GPU; then echo cuda12; \
  elif [ -e /dev/accel0 ] || { [ -e /dev/vfio/0 ] && \
    [ -n "$$TPU_NAME$$TPU_WORKER_ID$$TPU_ACCELERATOR_TYPE" ]; }; \
  then echo tpu; else echo cpu; fi)
endif
ifeq ($(filter cpu cuda12 cuda13 tpu,$(ACCELERATOR)),)
$(error ACCELERATOR=$(ACCELERATOR): give cpu, cuda12, cuda13 or tpu)
endif
EXTRAS := report,tfds$(patsubst %,$(comma)%,$(filter-out cpu,$(ACCELERATOR)))

# Written last: an installation that was interrupted has none and starts anew.
READY := $(VENV)/ready-$(ACCELERATOR)
READY_DEV := $(VENV)/ready-dev
# Apart from .venv, which has to do without TensorFlow.
TFDS_VENV := .venv-extras
READY_EXTRAS := $(TFDS_VENV)/ready
# What benchmarks/compare.py compares with. Under TORCH_PYTHON=python3.11 torch
# has that Python in place of .venv's.
TORCH_PYTHON := $(RUN)
READY_BENCH := .venv-torch/ready .venv-keras/ready

# .venv is made anew where its Python is gone or another one is asked for.
HAVE := $(shell $(RUN) --version 2>/dev/null)
WANT := $(if $(PYTHON),$(shell ("$(PYTHON)" --version) 2>/dev/null),$(HAVE))
ifneq ($(HAVE),$(or $(WANT),another))
ANEW := yes
$(READY): anew
endif

.PHONY: help demo test test-extras bench verify lint format clean anew

help:
	@echo "make demo     train on the embedded corpus -> runs/demo/report.html"
	@echo "make test     the whole test suite"
	@echo "make test-extras   what needs TensorFlow and Beam (1 GB to fetch)"
	@echo "make bench    PyTorch and Keras for benchmarks/compare.py (2 GB or more)"
	@echo "make verify   every committed number, computed anew"
	@echo "make lint     style, layers, spelling and types; make format mends style"
	@echo "make clean    remove every environment and runs/demo"
	@echo "options       PYTHON=python3.12 ACCELERATOR=cpu|cuda12|cuda13|tpu"

demo: $(READY)
	@rm -rf runs/demo
	@$(RUN) launch.py --config=configs/quickstart.py --workdir=runs/demo

test: $(READY_DEV)
	@$(RUN) -m pytest -n auto --maxprocesses=4

test-extras: $(READY_EXTRAS)
	@$(TFDS_VENV)/bin/python -m pytest tests/tfds_gtzan/test_beam.py \
	  tests/tfds_gtzan/test_builder.py tfds_gtzan

bench: $(READY_BENCH)

verify: $(READY)
	@$(RUN) launch.py verify results

lint: $(READY_DEV)
	@$(RUN) -m ruff check --quiet .
	@$(RUN) -m ruff format --check --quiet .
	@$(VENV)/bin/lint-imports --no-logo
	@$(VENV)/bin/codespell
	@$(RUN) -m mypy --no-error-summary

format: $(READY_DEV)
	@$(RUN) -m ruff check --quiet --fix .
	@$(RUN) -m ruff format --quiet .

anew: ;

clean:
	rm -rf $(VENV) $(TFDS_VENV) $(dir $(READY_BENCH)) runs/demo

$(READY): pyproject.toml constraints.txt
	@$(FIND_PYTHON); \
	python=$$(find_python) || exit 1; \
	if [ -n "$(ANEW)" ] || ! ls $(VENV)/ready-* >/dev/null 2>&1; then \
	  "$$python" -m venv --clear $(VENV) || exit 1; \
	fi; \
	rm -f $(VENV)/ready-*; \
	echo "installing into $(VENV) with $$($(RUN) --version), for" \
	  "$(ACCELERATOR): a minute or more"; \
	$(RUN) $(INSTALL) -c constraints.txt -e '.[$(EXTRAS)]' && touch $@

$(READY_DEV): $(READY)
	@$(RUN) $(INSTALL) -c constraints.txt -e '.[$(EXTRAS),dev]' && touch $@

# TensorFlow and Beam take earlier versions of what constraints.txt names last.
$(READY_EXTRAS): $(READY)
	@echo "installing TensorFlow and Beam into $(TFDS_VENV): a minute or more"
	@$(RUN) -m venv --clear $(TFDS_VENV) && \
	sed '/^# TensorFlow/,$$d' constraints.txt >$(TFDS_VENV)/constraints.txt && \
	$(TFDS_VENV)/bin/python $(INSTALL) -c $(TFDS_VENV)/constraints.txt \
	  -e '.[report,tfds,beam,dev,tfds-test]' && touch $@

.venv-%/ready: benchmarks/twins/requirements-%.txt $(READY)
	@echo "installing $* into .venv-$*: a minute or more"
	@"$(if $(filter torch,$*),$(TORCH_PYTHON),$(RUN))" -m venv --clear .venv-$* && \
	.venv-$*/bin/python $(INSTALL) -r $< && touch $@
