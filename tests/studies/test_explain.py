"""Attributions against the integral itself, and what is shown of them."""

import json
import re
import shutil
import types

import flax.linen as nn
import jax
import numpy as np
import pytest
import soundfile
import stored
from scipy import integrate, special

from gtzan_jax import features, models
from gtzan_jax.audio import mono_waveform
from gtzan_jax.cli import verbs
from gtzan_jax.data import pipeline, standardize
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


# A run folder.


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  return tmp_path_factory.mktemp("explain")


def begin(path, config):
  """A run before its first step."""
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
    stats = standardize.input_statistics(records, config.data.standardize)
    variables = layers.fill_input_stats(variables, *stats)
  best = checkpoint.Store(path / "best", writable=True)
  best.save(variables, {"epoch": 3})
  best.wait()
  best.close()
  return dataset


@pytest.fixture
def evaluated(folder, make_config):
  """A run folder, in which its report before is before.html; its config."""
  path = folder / "run"
  if not path.exists():
    dataset, begun = begin(path, make_config()), workdir.load(path)
    tables, size = evaluate.predict_parts(
      path, begun, dataset, sharding.make_mesh()
    )
    facts = stored.FACTS | evaluate.facts_of_data(path, begun, dataset)
    facts |= {"config": begun["config"], "best_epoch": 3, "num_params": size}
    test = {"test": tables["test"]}
    found = report.build(facts, test, [], {}, {}, resamples=20)
    test["test"].save(path / "predictions" / "test.npz")
    report.save(path / "report.json", found)
    report.redraw(path)
    shutil.copy(path / "report.html", folder / "before.html")
  return path, make_config()


@pytest.fixture
def explained(evaluated, folder):
  """The run folder and explain.json of the two tracks chosen by default."""
  path, config = evaluated
  file = folder / "explain.json"
  if not file.exists():
    explain.explain(path, [], config)
    shutil.copy(path / "explain" / "explain.json", file)
  return path, json.loads(file.read_text())


def item_of(page):
  (item,) = json.loads((page.parent / "explain.json").read_text())["items"]
  return item


@pytest.mark.slow
def test_lowest_and_highest_confidence_are_chosen(explained):
  path, found = explained
  tracks = predictions.load(path / "predictions" / "test.npz").by_track()
  confidence = tracks.probabilities[np.arange(len(tracks)), tracks.label]
  chosen = [confidence.argmin(), confidence.argmax()]
  for item, row in zip(found["items"], chosen, strict=True):
    assert (item["name"], item["where"]) == (tracks.track[row], "test split")
    assert list(item["probabilities"].values()) == pytest.approx(
      tracks.probabilities[row].tolist(), abs=1e-3
    )
    assert item["predicted"] == tracks.genres[tracks.predicted[row]]
    assert item["genre"] == tracks.genres[tracks.label[row]]
    genres = list(dict.fromkeys([item["predicted"], item["genre"]]))
    assert list(item["genres"]) == genres


def test_explain_json_adds_up(explained):
  path, found = explained
  variables = evaluate.restore_best(path, workdir.load(path))[1]
  (stats,) = variables["input_stats"].values()
  np.testing.assert_allclose(found["baseline"], stats["mean"], rtol=1e-5)
  assert np.ptp(found["baseline"]) > 1  # standardised bin by bin
  assert (found["steps"], found["best_epoch"]) == (64, 3)
  for item in found["items"]:
    assert item["explained"] == [0, item["segments"]]
    for row in item["genres"].values():
      assert len(row["by_bin"]) == 13
      assert sum(row["by_bin"]) == pytest.approx(row["total"], abs=1e-4)
      gap = abs(row["total"] - row["difference"])
      assert gap <= row["largest_gap"] + 1e-6
      assert gap < 0.05
      assert not row["off"]


def test_differences_are_those_of_their_genre(explained, evaluated):
  """Of a track, between the log probability of it and of the baseline."""
  path, found = explained
  dataset, item = open_dataset(evaluated[1]), found["items"][0]
  here = [track == item["name"] for track, _ in dataset.parts["test"]]
  x = pipeline.Records(dataset, "test", ["features"]).take(np.flatnonzero(here))
  baseline = np.array(found["baseline"], np.float32)
  ends = [x["features"], np.broadcast_to(baseline, x["features"].shape)]
  model, _ = evaluate.load_model(path, workdir.load(path))
  one, other = (np.log(np.asarray(model(end))).mean(axis=0) for end in ends)
  wanted = dict(zip(item["probabilities"], one - other, strict=True))
  assert len(item["genres"]) == 2
  for genre, row in item["genres"].items():
    assert row["difference"] == pytest.approx(wanted[genre], abs=1e-4)


def test_pictures_are_in_a_page_and_in_the_report_of_these_parameters(
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
  other = json.dumps(found | {"best_epoch": 2})
  (path / "explain" / "explain.json").write_text(other)
  report.redraw(path)
  assert after.read_bytes() == before.read_bytes()


@pytest.mark.slow
def test_of_a_long_file_the_middle_is_shown_and_all_is_predicted(
  evaluated, tmp_path
):
  path, config = evaluated
  samples = synthetic.render("jazz.s00001")
  file = tmp_path / "song, of 12 segments.wav"
  long = np.resize(samples, 12 * 66_150)
  soundfile.write(file, mono_waveform.to_int16(long), 22_050)
  page = explain.explain(path, [str(file)], config)
  item = item_of(page)
  assert (item["name"], item["where"]) == (str(file), "file")
  assert item["genre"] is None
  assert (item["segments"], item["explained"]) == (12, [1, 11])
  assert list(item["genres"]) == [item["predicted"]]
  here = {file.name for file in page.parent.glob("*.png")}
  assert here == {"00-song_of_12_segments.wav.png"}  # of the others none
  found = predict.load(path)(file)
  assert found == pytest.approx(item["probabilities"], abs=1e-6)


@pytest.mark.slow
def test_an_unreadable_file_is_skipped(evaluated, tmp_path, capsys):
  path, config = evaluated
  soundfile.write(tmp_path / "a.wav", np.zeros(66_150), 22_050)
  samples = mono_waveform.to_int16(synthetic.render("jazz.s00001"))
  soundfile.write(tmp_path / "b.wav", samples, 22_050)
  (tmp_path / "c.txt").touch()
  skipped = []
  page = explain.explain(path, [str(tmp_path)], config, skipped)
  assert item_of(page)["name"].endswith("b.wav")
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
  """By the verb, for a track of the train split."""
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
  lines = capsys.readouterr().out.splitlines()
  assert lines[-1] == f"explained: {path / 'explain' / 'explain.html'}"
  assert lines[-2].startswith(f"{track} (train split): predicted ")
  assert re.search(r"sum to \S+ nats for \w+ \([+-]\d\.\d\d wanted", lines[-2])
  found = json.loads((path / "explain" / "explain.json").read_text())
  records = pipeline.Records(dataset, "train", ["features"])
  x = records.take(range(len(records)))["features"]
  np.testing.assert_allclose(
    found["baseline"], x.mean(axis=(0, 1)), rtol=1e-4, atol=1e-3
  )


def test_mistakes_get_one_line(evaluated, tmp_path):
  path, config = evaluated
  (tmp_path / "empty").mkdir()
  begun = workdir.load(path)
  gans = begun["config"]["train"] | {"monitor": "validation/coverage"}
  for word, changed, message in (
    ("jazz.99", {}, "neither a file nor a track"),
    (str(tmp_path / "empty"), {}, "holds no audio file"),
    ("", {"example_shape": [57]}, r"examples of shape \[57\]"),
    ("", {"example_shape": [180, 180, 3]}, r"only \[frames, bins\]"),
    ("", {"config": begun["config"] | {"task": "classical"}}, "task=classical"),
    (
      "",
      {"config": begun["config"] | {"task": "gan", "train": gans}},
      "task=gan",
    ),
    ("", {"data_fingerprint": "ab" * 32}, "was trained on data abab"),
    # By a version that cut the same data otherwise.
    *(
      (
        "",
        {"tracks": begun["tracks"] | {part: begun["tracks"][part][1:]}},
        rf"another {part} split \(1 tracks .* as {begun['tracks'][part][0]}\)",
      )
      for part in ("train", "validation")
    ),
  ):
    (tmp_path / "run.json").write_text(json.dumps(begun | changed))
    with pytest.raises(InputError, match=message) as error:
      explain.explain(tmp_path, [word or "jazz.s00001"], config)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "explain").exists()
  (tmp_path / "run.json").write_text(json.dumps(begun))
  with pytest.raises(InputError, match="holds no report"):
    explain.explain(tmp_path, [], config)


# Pictures.


def shown(spec, frames=20, segments=3, first=0, **changed):
  """Noise that was explained, of a run with this feature set."""
  clip = jax.ShapeDtypeStruct((spec.segment_samples,), np.float32)
  bins = jax.eval_shape(lambda x: features.extract(x, spec), clip).shape[-1]
  rng = np.random.default_rng(0)
  values = rng.normal(size=(segments, frames, bins)).astype(np.float32)
  one = explain_page.Explained(
    **{"name": "jazz.00001", "where": "test split", "genre": "jazz"},
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


def test_attributions_that_do_not_add_up_are_a_warning():
  one, _ = shown(features.get("mfcc"))

  def line(gaps):
    found = [
      attribution.Attribution(v, float(v.sum()) + gap)
      for v, gap in zip(one.features, gaps, strict=True)
    ]
    return explain_page.line(one._replace(attributions={"rock": found}))

  start = "jazz.00001 (test split): predicted rock 0.800, true jazz"
  assert line([0, 0, 0]).startswith(start)
  assert "warning" not in line([0, 0, 0])
  # Gaps that cancel each other count.
  warning = "warning: the steps are too coarse"
  assert warning in line([0.9, -0.9, 0.0])
  assert warning in explain_page.line(one)
