"""Packed runs: the same numbers as of the folders that they were made of."""

import json
import shutil

import pytest
from stored import GAN, made, parts, run

from gtzan_jax.cli.main import main
from gtzan_jax.errors import InputError
from gtzan_jax.inference import ensemble
from gtzan_jax.reports import leaderboard_page, stored_runs
from gtzan_jax.scores import packed_predictions
from gtzan_jax.studies.compare import run as compare_runs
from gtzan_jax.studies.verify import run as verify


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
  root = tmp_path_factory.mktemp("folders")
  for seed in range(2):
    tables = parts(seed) | {"test": made(90, 3, seed=7 + seed, artists=40)}
    run(root / "runs" / f"seed{seed}", tables, seed=seed)
  run(root / "runs" / "gan", {"generated": made(9, 1)}, gan=GAN)
  made(9).save(root / "runs" / "seed0" / "noise" / "predictions" / "mp3_1.npz")
  (root / "compared").mkdir()
  pair = [root / "runs" / f"seed{seed}" for seed in range(2)]
  compare_runs.write(
    compare_runs.compare_runs(pair, root / "compared"), root / "compared"
  )
  leaderboard_page.write([root], root)
  return root


@pytest.fixture(scope="module")
def packed(folders, tmp_path_factory):
  out = tmp_path_factory.mktemp("packed") / "study"
  assert main(["launch.py", "verify", str(folders), f"--out={out}"]) == 0
  return out


def test_what_is_left_of_the_folders(folders, packed):
  held = {file.relative_to(packed).as_posix() for file in packed.rglob("*.*")}
  assert held == {
    *("runs.json", "predictions.npz", "leaderboard.md"),
    "compared/compare.json",
  }
  names, others = (
    [run.relative_to(root) for run in stored_runs.below(root)]
    for root in (folders, packed)
  )
  assert names == others
  inner = packed / "runs"
  assert stored_runs.below(inner) == stored_runs.find([inner])
  text = (packed / "leaderboard.md").read_text()
  assert text == (folders / "leaderboard.md").read_text()
  pair = (
    (x / "compared" / "compare.json").read_text() for x in (folders, packed)
  )
  one, other = map(json.loads, pair)
  assert one == other


def test_a_report_is_that_of_the_folder_but_for_rounding(folders, packed):
  exact, result = (
    stored_runs.read(root / "runs" / "seed1") for root in (folders, packed)
  )
  test, other = result["splits"]["test"], exact["splits"]["test"]
  for level in ("segment", "track", "track_majority"):
    for key in ("n", "accuracy", "ci95", "macro_f1", "per_genre", "confusion"):
      assert test[level][key] == other[level][key]
    for key in ("loss", "ece", "top3"):
      assert test[level][key] == pytest.approx(other[level][key], abs=0.02)
  for key in ("n", "missing", "sha256", "clusters", "known_artists"):
    assert test[key] == other[key]
  for split in ("train", "validation"):
    for level in ("segment", "track"):
      whole = exact["splits"][split][level]
      numbers = {key: whole[key] for key in ("n", "accuracy")}
      assert result["splits"][split][level] == numbers
  for key in ("config", "seed", "seconds", "commit", "headline", "genres"):
    assert result[key] == exact[key]
  gans = [stored_runs.read(root / "runs" / "gan") for root in (folders, packed)]
  assert gans[0]["gan"] == gans[1]["gan"]
  noise = stored_runs.table(packed / "runs" / "seed0" / "noise", "mp3_1")
  assert noise.predicted.tolist() == made(9).predicted.tolist()


@pytest.mark.usefixtures("undrawn")
def test_packed_runs_are_combined(folders, packed, tmp_path):
  one, other = tmp_path / "one", tmp_path / "other"
  for root, out in ((folders, one), (packed, other)):
    given = [f"--workdir={root / 'runs' / f'seed{seed}'}" for seed in range(2)]
    assert main(["launch.py", "evaluate", *given, f"--out={out}"]) == 0
  exact, result = map(stored_runs.read, (one, other))
  for key in ("config", "num_params", "headline"):
    assert exact[key] == result[key]
  for key in ("n", "missing", "sha256", "known_artists"):
    assert exact["splits"]["test"][key] == result["splits"]["test"][key]


def test_packing_what_is_packed_changes_nothing(packed, tmp_path):
  again = tmp_path / "again"
  assert main(["launch.py", "verify", str(packed), f"--out={again}"]) == 0
  for name in ("runs.json", "leaderboard.md"):
    assert (again / name).read_bytes() == (packed / name).read_bytes()
  one, other = (
    packed_predictions.Tables(x / "predictions.npz") for x in (packed, again)
  )
  assert list(one) == list(other)


@pytest.mark.parametrize(
  ("keys", "value", "words"),
  [
    ("shared recipe", None, "recipe: absent"),
    ("runs", None, "runs: absent"),
    (
      "runs runs/seed1 splits test track accuracy",
      0.99,
      "accuracy: 0.99 stored, ",
    ),
    ("runs runs/seed1 splits test sha256", "ab", 'sha256: "ab" stored, '),
    ("runs runs/seed1 splits test n", "9", "test.n: str, int wanted"),
    ("runs runs/seed1 history", [], "history: list, dict wanted"),
  ],
)
def test_other_numbers_are_noticed(packed, tmp_path, keys, value, words):
  copy = shutil.copytree(packed, tmp_path / "copy")
  whole = inner = json.loads((copy / "runs.json").read_text())
  *path, last = keys.split()
  for key in path:
    inner = inner[key]
  inner[last] = value
  if value is None:
    del inner[last]
  (copy / "runs.json").write_text(json.dumps(whole))
  wrong = verify.verify([copy]).wrong
  assert any(words in line and "runs.json" in line for line in wrong), wrong


def test_what_is_no_run_is_one_line(folders, packed, tmp_path, capsys):
  for path, words in (
    (packed, "holds no report.json: evaluate it first"),
    (folders / "runs", f"give the runs in it, as {folders}/runs/gan"),
    (packed / "runs" / "seed9", "no such folder"),
    (tmp_path / "none", "no such folder"),
  ):
    with pytest.raises(InputError, match=words):
      stored_runs.read(path)
  with pytest.raises(InputError, match=r"validation\.npz"):
    stored_runs.table(packed / "runs" / "seed1", "validation")
  with pytest.raises(InputError, match="is a GAN"):
    ensemble.read(packed / "runs" / "gan")
  many = ["launch.py", "verify", str(folders), str(packed), "--out=x"]
  assert main(many) == 2
  assert "give one folder" in capsys.readouterr().err
