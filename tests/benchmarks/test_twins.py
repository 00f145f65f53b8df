"""The comparison with PyTorch and Keras: its twins and its numbers."""

import json
import os
import sys

import pytest

from benchmarks import compare
from benchmarks.twins import recipes
from gtzan_jax import models
from gtzan_jax.errors import InputError
from gtzan_jax.reports import provenance


@pytest.mark.slow
@pytest.mark.parametrize("side", ["torch", "keras"])
@pytest.mark.parametrize("recipe", ["cnn_gru", "mlp", "resnet"])
def test_a_twin_has_our_losses(recipe, side):
  python = compare.ROOT / f".venv-{side}/bin/python"
  if not python.is_file():
    pytest.skip(f"no {python}: make bench installs it")
  spec = {**recipes.spec(recipe, check=True), "threads": 2}
  assert compare.check(spec, {side: str(python)}) < recipes.TOLERANCE


@pytest.mark.slow
def test_our_side_alone_gives_a_row(tmp_path, monkeypatch, capsys):
  file = tmp_path / "rows.json"
  file.write_text(json.dumps({"mlp": {"old": 1}, "resnet": {"kept": 2}}))
  words = ["mlp", "--sides=ours", "--rounds=1", "--batch_size=8"]
  monkeypatch.setattr(sys, "argv", ["compare.py", *words, f"--json={file}"])
  monkeypatch.setattr(os, "sched_setaffinity", lambda *_: None, raising=False)
  assert compare.main() == 0
  rows = json.loads(file.read_text())
  assert rows["resnet"] == {"kept": 2}
  assert rows["mlp"]["batch_size"] == 8
  assert {"jax", "gtzan_jax"} <= rows["mlp"]["versions"].keys()
  assert rows["mlp"]["commit"] == provenance.short(provenance.commit())
  ours = rows["mlp"]["sides"]["ours"]
  assert 0 < ours["p10"] <= ours["ms"] <= ours["p90"]
  said = capsys.readouterr().out
  assert "mlp  batch 8 x 57" in said
  assert said.splitlines()[-1].startswith("gtzan_jax ")


def test_every_model_has_both_twins():
  folder = compare.ROOT / "benchmarks" / "twins"
  torch_nets = (folder / "torch_nets.py").read_text()
  keras_nets = (folder / "keras_nets.py").read_text()
  for name in models.MODELS:
    assert f'"{name}": ' in torch_nets
    assert f"def {name}(x, spec, drop" in keras_nets


@pytest.mark.parametrize("recipe", recipes.RECIPES)
def test_a_spec_is_plain_and_has_no_augmentation(recipe):
  spec = recipes.spec(recipe)
  assert json.loads(json.dumps(spec))["recipe"] == recipe
  assert spec["optim"]["schedule"] == "constant"
  augment = recipes.config(recipe).augment
  assert not any(augment[name] for name in recipes.AUGMENTATION)


def repeat(**milliseconds):
  """A repeat whose sides have these times of a step."""
  return {
    "others": 0.01,
    "sides": {
      name: {
        "versions": {name: "1.0"},
        "seconds": [value / 1e3 for value in values],
        "faults": [len(values)],
        "rss_mib": len(values),
      }
      for name, values in milliseconds.items()
    },
  }


def test_the_ratio_is_to_the_fastest_peer_of_each_repeat():
  row = compare.summarize(
    [
      repeat(ours=[1, 2, 9], torch=[4, 4], keras=[5]),  # 2 / 4
      repeat(ours=[3], torch=[8], keras=[4]),  # 3 / 4
      repeat(ours=[6], torch=[8], keras=[7]),  # 6 / 7
    ]
  )
  assert row["ratio"] == 0.75
  assert row["ratio_range"] == [0.5, round(6 / 7, 3)]
  assert row["peer"] == "keras"
  assert row["sides"]["ours"]["ms"] == 3
  assert row["sides"]["ours"]["rss_mib"] == 3
  assert row["versions"] == {"ours": "1.0", "torch": "1.0", "keras": "1.0"}
  assert "ratio" not in compare.summarize([repeat(ours=[1])])


def test_an_environment_that_is_not_there_is_named(tmp_path):
  with pytest.raises(InputError, match=r"make bench.*--torch=PYTHON"):
    compare.find_pythons(["torch"], {"torch": f"{tmp_path}/python"})
  with pytest.raises(InputError, match="unknown side 'jax'; give ours, torch"):
    compare.find_pythons(["jax"], {})


def test_a_side_that_ends_is_an_error_of_one_line(tmp_path):
  python = tmp_path / "python"
  python.write_text("#!/bin/sh\necho some >&2\necho no torch >&2\nexit 3\n")
  python.chmod(0o755)
  spec = {**recipes.spec("mlp"), "threads": 1}
  with (
    compare.started(spec, {"torch": str(python)}) as sides,
    pytest.raises(compare.SideError, match="status 3: no torch"),
  ):
    sides["torch"].answer()
