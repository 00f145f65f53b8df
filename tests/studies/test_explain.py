"""Attributions against the integral itself, and what is shown of them."""

import json
import re
import types

import flax.linen as nn
import jax
import numpy as np
import pytest
import soundfile
import stored
from scipy import integrate, special

from gtzan_jax import features, models
from gtzan_jax.audio import waveform
from gtzan_jax.cli import verbs
from gtzan_jax.data import pipeline
from gtzan_jax.data.open_dataset import open_dataset
from gtzan_jax.errors import InputError
from gtzan_jax.inference import predict
from gtzan_jax.models import layers
from gtzan_jax.reports import report
from gtzan_jax.scores import predictions
from gtzan_jax.studies.explain import attribution
from gtzan_jax.studies.explain import page as explain_page
from gtzan_jax.studies.explain import run as explain
from gtzan_jax.training import checkpoint, evaluate, sharding, workdir
from tfds_gtzan import synthetic

FRAMES, BINS, GENRES = 6, 5, 3


class Flat(nn.Module):
  """A linear map of a part of the bins: the gradient can be written down."""

  @nn.compact
  def __call__(self, x, *, train):
    del train
    x = x[:, :, :3].reshape(len(x), -1)
    return nn.Dense(GENRES, use_bias=False, name="out")(x)


@pytest.fixture(scope="module")
def flat():
  rng = np.random.default_rng(0)
  weights = rng.normal(0, 0.4, (FRAMES * 3, GENRES)).astype(np.float32)
  x = rng.normal(0, 1, (FRAMES, BINS)).astype(np.float32)
  baseline = rng.normal(0, 1, BINS).astype(np.float32)
  variables = {"params": {"out": {"kernel": weights}}}
  attribute = attribution.attributor(Flat(), variables)
  return weights.astype(np.float64), x, baseline, attribute


# Integrated gradients.


@pytest.mark.parametrize("genre", range(GENRES))
def test_attributions_are_the_integral_of_the_gradient(flat, genre):
  """By scipy's quadrature of a gradient that was derived on paper."""
  weights, x, baseline, attribute = flat
  end, start = x[:, :3].ravel(), np.tile(baseline[:3], FRAMES)

  def gradient(fraction):
    point = start + fraction * (end - start)
    return weights[:, genre] - weights @ special.softmax(point @ weights)

  mean, _ = integrate.quad_vec(gradient, 0, 1)
  found = attribute(x, baseline, genre)
  wanted = ((end - start) * mean).reshape(FRAMES, 3)
  np.testing.assert_allclose(found.values[:, :3], wanted, atol=2e-4)
  assert not found.values[:, 3:].any()  # of what the network never sees
  ends = special.log_softmax(np.stack([end, start]) @ weights, axis=1)
  assert found.difference == pytest.approx(ends[0, genre] - ends[1, genre])
  assert found.total == pytest.approx(found.difference, abs=1e-3)


def test_the_baseline_itself_adds_nothing(flat):
  _, _, baseline, attribute = flat
  found = attribute(np.tile(baseline, (FRAMES, 1)), baseline, 1)
  assert not found.values.any()
  assert found.difference == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
def test_of_a_network_with_recurrence_they_are_complete():
  model = models.create("lstm", 4, hidden=8)
  x = np.random.default_rng(0).normal(size=(16, 9)).astype(np.float32)
  variables = jax.jit(lambda key: model.init(key, x[None], train=False))(
    jax.random.key(1)
  )
  attribute = attribution.attributor(model, variables)
  found = attribute(3 * x, np.zeros(9, np.float32), 2)
  assert found.total == pytest.approx(found.difference, rel=0.02)
  assert abs(found.difference) > 1e-3


# A workdir.


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  return tmp_path_factory.mktemp("explain")


def begin(path, config):
  """A run as it would stand before the first step."""
  dataset = open_dataset(config)
  path.mkdir()
  workdir.begin(path, config, dataset)
  run = workdir.load(path)
  model = evaluate.classify.create_model(config, len(run["genres"]))
  example = np.zeros((1, *run["example_shape"]), np.float32)
  init = jax.jit(lambda key: model.init(key, example, train=False))
  variables = dict(init(jax.random.key(0)))
  if config.data.standardize != "none":
    records = pipeline.Records(dataset, "train", ["features"])
    stats = pipeline.input_statistics(records, config.data.standardize)
    variables = layers.fill_input_stats(variables, *stats)
  best = checkpoint.Store(path / "best", writable=True)
  best.save(variables, {"epoch": 3})
  best.wait()
  best.close()
  return dataset


def score(path, dataset):
  """A report on its test part, without the pictures beside it."""
  run, mesh = workdir.load(path), sharding.make_mesh()
  tables, size = evaluate.predict_parts(path, run, dataset, mesh)
  table = tables["test"]
  facts = {
    **stored.FACTS,
    **evaluate.facts_of_data(path, run, dataset),
    **{"config": run["config"], "best_epoch": 3, "num_params": size},
  }
  found = report.build(facts, {"test": table}, [], {}, {}, resamples=20)
  table.save(path / "predictions" / "test.npz")
  report.save(path / "report.json", found)
  report.redraw(path)


@pytest.fixture
def run(folder, make_config):
  path = folder / "run"
  if not path.exists():
    score(path, begin(path, make_config()))
  return path, make_config()


@pytest.fixture
def explained(run, folder):
  """Of the two tracks that are chosen; and the report before that."""
  path, config = run
  file = folder / "before.html"
  if not file.exists():
    file.write_text((path / "report.html").read_text())
    call(path, config)
  return path, json.loads((path / "explain" / "explain.json").read_text())


def call(path, config, *words):
  return explain.explain(path, words, config)


@pytest.mark.slow
def test_the_hardest_and_the_surest_are_chosen(explained):
  path, found = explained
  tracks = predictions.load(path / "predictions" / "test.npz").by_track()
  belief = tracks.probabilities[np.arange(len(tracks)), tracks.label]
  chosen = tracks.track[[belief.argmin(), belief.argmax()]]
  assert [item["name"] for item in found["items"]] == chosen.tolist()
  assert {item["where"] for item in found["items"]} == {"test split"}
  for item in found["items"]:
    row = tracks.track.tolist().index(item["name"])
    np.testing.assert_allclose(
      list(item["probabilities"].values()),
      tracks.probabilities[row],
      atol=1e-3,
    )
    assert item["predicted"] == tracks.genres[tracks.predicted[row]]
    assert item["genre"] == tracks.genres[tracks.label[row]]
    assert list(item["genres"]) == list(
      dict.fromkeys([item["predicted"], item["genre"]])
    )


def test_what_explain_json_says_adds_up(explained):
  path, found = explained
  stats = checkpoint_stats(path)
  np.testing.assert_allclose(found["baseline"], stats, rtol=1e-5)
  assert np.ptp(found["baseline"]) > 1  # standardised bin by bin
  assert (found["steps"], found["best_epoch"]) == (64, 3)
  for item in found["items"]:
    assert item["explained"] == [0, item["segments"]]
    for row in item["genres"].values():
      assert len(row["by_bin"]) == 13
      assert sum(row["by_bin"]) == pytest.approx(row["total"], abs=1e-4)
      assert abs(row["total"] - row["difference"]) <= row["largest_gap"] + 1e-6
      gap = abs(row["total"] - row["difference"])
      assert not row["off"]
      assert gap < 0.05


def checkpoint_stats(path):
  variables = evaluate.restore_best(path, workdir.load(path))[1]
  (stats,) = variables["input_stats"].values()
  return np.asarray(stats["mean"])


def test_differences_are_of_the_genre_that_they_are_said_to_be_of(
  explained, run
):
  """Of a track, between what the model says of it and of the baseline."""
  path, found = explained
  dataset, item = open_dataset(run[1]), found["items"][0]
  here = [track == item["name"] for track, _ in dataset.parts["test"]]
  x = pipeline.Records(dataset, "test", ["features"]).take(np.flatnonzero(here))
  baseline = np.array(found["baseline"], np.float32)
  ends = [x["features"], np.broadcast_to(baseline, x["features"].shape)]
  model, _ = evaluate.load_model(path, workdir.load(path))
  one, other = (np.log(np.asarray(model(end))).mean(axis=0) for end in ends)
  genres = list(item["probabilities"])
  assert len(item["genres"]) == 2
  for genre, row in item["genres"].items():
    wanted = (one - other)[genres.index(genre)]
    assert row["difference"] == pytest.approx(wanted, abs=1e-4)


def test_pictures_stand_in_a_page_of_their_own_and_in_the_report(
  explained, folder
):
  path, found = explained
  pictures = {item["picture"] for item in found["items"]}
  here = {file.name for file in (path / "explain").iterdir()}
  assert here == {*pictures, "explain.html", "explain.json"}
  page = (path / "explain" / "explain.html").read_text()
  assert page.count('src="data:image/png;base64,') == len(pictures)
  assert set(re.findall(r'(?:src|href)="(\w+:)', page)) == {"data:", "https:"}
  assert "https://arxiv.org/abs/1703.01365" in page
  before, after = folder / "before.html", path / "report.html"
  assert "Integrated gradients" not in before.read_text()
  assert after.read_text().count("data:image/png") == len(pictures)


@pytest.mark.slow
def test_without_pictures_of_these_parameters_the_report_is_as_it_was(
  explained, folder
):
  path, found = explained
  file = path / "explain" / "explain.json"
  text = file.read_text()
  try:
    file.write_text(json.dumps(found | {"best_epoch": 2}))
    report.redraw(path)
    before = (folder / "before.html").read_bytes()
    assert (path / "report.html").read_bytes() == before
  finally:
    file.write_text(text)
    report.redraw(path)


@pytest.mark.slow
def test_of_a_long_file_the_middle_is_shown_and_all_is_heard(run, tmp_path):
  path, config = run
  samples = synthetic.render("jazz.s00001")
  file = tmp_path / "song, of 12 segments.wav"
  long = np.resize(samples, 12 * 66_150)
  soundfile.write(file, waveform.to_int16(long), 22_050)
  page = explain.explain(path, [str(file)], config)
  (item,) = json.loads((page.parent / "explain.json").read_text())["items"]
  assert (item["name"], item["where"]) == (str(file), "file")
  assert item["genre"] is None
  assert (item["segments"], item["explained"]) == (12, [1, 11])
  assert list(item["genres"]) == [item["predicted"]]
  here = {file.name for file in page.parent.glob("*.png")}
  assert here == {"00-song_of_12_segments.wav.png"}  # of the others none
  found = predict.load(path)(file)
  assert found == pytest.approx(item["probabilities"], abs=1e-6)


@pytest.mark.slow
def test_a_file_that_cannot_be_read_is_passed_over(run, tmp_path, capsys):
  path, config = run
  soundfile.write(tmp_path / "a.wav", np.zeros(66_150), 22_050)
  samples = waveform.to_int16(synthetic.render("jazz.s00001"))
  soundfile.write(tmp_path / "b.wav", samples, 22_050)
  skipped = []
  (tmp_path / "c.txt").touch()
  page = explain.explain(path, [str(tmp_path)], config, skipped)
  (item,) = json.loads((page.parent / "explain.json").read_text())["items"]
  assert item["name"].endswith("b.wav")
  assert len(skipped) == 1
  err = capsys.readouterr().err
  assert "ignored files: 1 .txt\n" in err
  assert "a.wav: no signal" in err
  with pytest.raises(InputError, match=r"a\.wav: no signal"):
    explain.explain(path, [str(tmp_path / "a.wav")], config)


@pytest.mark.slow
def test_the_baseline_of_a_run_without_standardisation_is_computed(
  folder, make_config, capsys
):
  """By the verb, of a track that it was trained on."""
  config = make_config(**{"data.standardize": "none"})
  path = folder / "plain"
  dataset = begin(path, config)
  track = dataset.parts["train"][0][0]
  given = types.SimpleNamespace(
    workdir=lambda: path,
    files=[track],
    config=config,
    overrides={"data.dir": config.data.dir},
  )
  assert verbs.explain(given) == 0
  said = capsys.readouterr().out.splitlines()
  assert said[-1] == f"explained: {path / 'explain' / 'explain.html'}"
  assert said[-2].startswith(f"{track} (train split): predicted ")
  assert re.search(r"sum to \S+ nats for \w+ \([+-]\d\.\d\d wanted", said[-2])
  found = json.loads((path / "explain" / "explain.json").read_text())
  records = pipeline.Records(dataset, "train", ["features"])
  x = records.take(range(len(records)))["features"]
  np.testing.assert_allclose(
    found["baseline"], x.mean(axis=(0, 1)), rtol=1e-4, atol=1e-3
  )


def test_mistakes_get_one_line(run, tmp_path):
  path, config = run
  with pytest.raises(InputError, match="neither a file nor a track"):
    call(path, config, "jazz.99")
  (tmp_path / "empty").mkdir()
  with pytest.raises(InputError, match="holds no audio file"):
    call(path, config, str(tmp_path / "empty"))
  begun = workdir.load(path)
  gans = begun["config"]["train"] | {"monitor": "validation/coverage"}
  for changed, said in (
    ({"example_shape": [57]}, r"examples of shape \[57\]"),
    ({"example_shape": [180, 180, 3]}, r"only \[frames, bins\]"),
    ({"config": begun["config"] | {"task": "classical"}}, "task=classical"),
    ({"config": begun["config"] | {"task": "gan", "train": gans}}, "task=gan"),
    ({"data_fingerprint": "ab" * 32}, "was trained on data abab"),
    # By a version that cut the same data otherwise.
    *(
      (
        {"tracks": begun["tracks"] | {part: begun["tracks"][part][1:]}},
        rf"another {part} split \(1 tracks .* as {begun['tracks'][part][0]}\)",
      )
      for part in ("train", "validation")
    ),
  ):
    other = tmp_path / "other"
    other.mkdir(exist_ok=True)
    (other / "run.json").write_text(json.dumps(begun | changed))
    with pytest.raises(InputError, match=said) as error:
      call(other, config, "jazz.s00001")
    assert "\n" not in str(error.value)
    assert not (other / "explain").exists()
  (other / "run.json").write_text(json.dumps(begun))
  with pytest.raises(InputError, match="holds no report"):
    call(other, config)


# Pictures.


def shown(spec, frames=20, segments=3, first=0, **changed):
  """Noise that was explained, of a run with this feature set."""
  clip = jax.ShapeDtypeStruct((spec.segment_samples,), np.float32)
  bins = jax.eval_shape(lambda x: features.extract(x, spec), clip).shape[-1]
  rng = np.random.default_rng(0)
  values = rng.normal(size=(segments, frames, bins)).astype(np.float32)
  one = explain_page.Explained(
    **{"name": "jazz.00001", "where": "test part", "genre": "jazz"},
    **{"predicted": "rock", "probabilities": {"jazz": 0.2, "rock": 0.8}},
    **{"segments": 12, "first": first, "features": 10 * values},
    attributions={
      genre: [attribution.Attribution(v, 1.0) for v in values]
      for genre in ("rock", "jazz")
    },
  )
  return one._replace(**changed), {"feature_spec": spec.to_dict()}


def test_axes_are_in_seconds_and_hz():
  spec = features.get("logmel_1024")
  figure = explain_page.draw(*shown(spec, first=4))
  top, bottom = figure.axes[0], figure.axes[4]
  assert top.get_xlim() == pytest.approx((12 * 66_000 / 66_150, 20.95), abs=0.1)
  assert bottom.get_xlabel() == "seconds"
  centres = features.mel.mel_to_hz(
    np.linspace(0, features.mel.hz_to_mel(11_025), 130)[1:-1]
  )
  for label in top.get_yticklabels():
    hz = float(label.get_text().replace(",", ""))
    at = label.get_position()[1]
    assert np.interp(at, np.arange(128), centres) == pytest.approx(hz, rel=0.01)
  sums = figure.axes[3].patches
  assert len(sums) == 128
  one, _ = shown(spec)
  wanted = one.features.sum(axis=(0, 1))[7] / 10 / 3
  assert sums[7].get_width() == pytest.approx(wanted, abs=1e-4)


def test_features_that_are_no_log_mel_are_named():
  figure = explain_page.draw(*shown(features.get("sequence")))
  axes = figure.axes[0]
  names = [label.get_text() for label in axes.get_yticklabels()]
  assert names == ["mfcc", "centroid", "chroma", "contrast"]
  assert axes.get_yticks().tolist() == [0, 13, 14, 26]
  clip = features.get("fusion")
  figure = explain_page.draw(*shown(clip, frames=130, segments=1, first=2))
  assert figure.axes[-2].get_xlabel() == "seconds, clip 3 of 12"


def test_a_sum_that_is_off_is_told():
  one, _ = shown(features.get("mfcc"))
  assert "warning: the steps are too coarse" in explain_page.line(one)
  right = {
    "rock": [attribution.Attribution(v, float(v.sum())) for v in one.features]
  }
  # what one segment has too much and another too little is no sum
  gaps = [0.9, -0.9, 0.0]
  shifted = [
    attribution.Attribution(v, float(v.sum()) + gap)
    for v, gap in zip(one.features, gaps, strict=True)
  ]
  cancel = one._replace(attributions={"rock": shifted})
  assert "warning" in explain_page.line(cancel)
  said = explain_page.line(one._replace(attributions=right))
  assert "warning" not in said
  assert said.startswith(
    "jazz.00001 (test part): predicted rock 0.800, true jazz"
  )
