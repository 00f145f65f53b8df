"""What a GAN generates, seen and heard: against tones and clicks we know."""

import io
import types

import numpy as np
import pytest
import soundfile

from gtzan_jax import errors, features
from gtzan_jax.audio import mono_waveform
from gtzan_jax.features import FeatureSpec, griffin_lim, logmel_archive
from gtzan_jax.gan import gallery

RATE = 22_050
HALF = FeatureSpec("half", n_fft=1024, hop_length=256, segment_samples=22_050)
EVERY = 0.3  # columns an archive keeps of each frame


def tones(low=440.0, high=1760.0) -> np.ndarray:
  """Half a second of one tone, half a second of another, over a hiss."""
  time = np.arange(RATE) / RATE
  hz = np.where(time < 0.5, low, high)
  hiss = 0.01 * np.random.default_rng(0).normal(size=RATE)
  return (0.3 * np.sin(2 * np.pi * hz * time) + hiss).astype(np.float32)


def loudest(samples: np.ndarray) -> float:
  """The frequency, in Hz, with the most power."""
  power = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
  return float(np.fft.rfftfreq(len(samples), 1 / RATE)[power.argmax()])


def read(wav: bytes) -> tuple[np.ndarray, int]:
  return soundfile.read(io.BytesIO(wav), dtype="int16")


def test_a_waveform_is_kept_to_the_bit():
  samples = mono_waveform.to_int16(tones())
  again, rate = read(griffin_lim.wav(samples, 16_000))
  np.testing.assert_array_equal(again, samples)
  assert rate == 16_000


@pytest.mark.parametrize("kept", [None, EVERY])
def test_a_log_mel_sounds_as_what_it_was_made_of(kept):
  """Pitch, time and level, also where an archive kept few columns."""
  if kept is None:
    db = np.asarray(features.extract(tones(), HALF))
  else:
    db = logmel_archive.from_audio(tones(), kept)[0]
    db = db[: logmel_archive.segment_columns(HALF, kept)]
  samples = griffin_lim.from_logmel(db, HALF, kept)
  assert samples.dtype == np.int16
  assert len(samples) == pytest.approx(RATE, rel=0.1)
  # As near as mel bands are wide there.
  assert loudest(samples[2000:9000]) == pytest.approx(440, abs=25)
  assert loudest(samples[13_500:19_000]) == pytest.approx(1760, abs=60)
  level = np.sqrt(
    np.square(mono_waveform.to_float(samples)[3000:18_000]).mean()
  )
  assert level == pytest.approx(0.3 / np.sqrt(2), rel=0.35)
  again = griffin_lim.from_logmel(db, HALF, kept)
  np.testing.assert_array_equal(again, samples)


def test_columns_of_an_archive_become_every_frame():
  """A line that rises by 1 a frame does so again, and a level stays."""
  frames = np.stack([np.arange(1293.0), np.full(1293, -3.0)], axis=1)
  kept = frames[logmel_archive.frames_of(1293, 387)][:38]
  got = griffin_lim.every_frame(kept, 127)
  np.testing.assert_array_equal(got[:, 1], np.full(127, -3))
  # Half a distance of two columns at both ends has nothing beyond it.
  off = (got - frames[:127])[2:-2, 0]
  assert np.abs(off).max() <= 1
  assert np.abs(off.mean()) < 0.5


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_log_mel_that_is_not_finite_is_refused(wrong):
  db = np.zeros((20, 128), np.float32)
  db[3, :2] = wrong
  with pytest.raises(errors.InputError, match="2 of 2560 values are not fin"):
    griffin_lim.from_logmel(db, HALF)


def test_what_no_music_reaches_is_turned_down():
  loud = griffin_lim.from_logmel(np.full((20, 128), 1e6, np.float32), HALF)
  assert 1 <= (np.abs(loud.astype(int)) >= 32_767).sum() < 3  # none clipped


def drawn(figure):
  return [image for axes in figure.axes for image in axes.images]


def test_the_grid_is_drawn_on_the_scale_of_the_real_ones():
  rng = np.random.default_rng(0)
  real = [rng.uniform(-60, 20, (n, 30, 8)) for n in (2, 0)]
  made = [rng.uniform(-90, 90, (3, 30, 8)) for _ in range(2)]
  made[1][0] = np.nan
  figure = gallery.grid(real, made, ["jazz", "x" * 40], decibels=True)
  pictures = drawn(figure)
  assert len(pictures) == 2 + 3 + 3
  top = real[0].max()
  assert {image.get_clim() for image in pictures} == {(top - 80, top)}
  # Time to the right, bins upwards.
  np.testing.assert_array_equal(pictures[0].get_array(), real[0][0].T)
  assert all(image.origin == "lower" for image in pictures)
  assert sum(image.get_array().mask.all() for image in pictures) == 1
  words = [text.get_text() for axes in figure.axes for text in axes.texts]
  assert words == ["jazz", "x" * 15 + "…"]
  titles = [axes.get_title("left") for axes in figure.axes]
  assert [*filter(None, titles)] == ["Real, of the train split", "Generated"]


def test_rows_that_are_no_log_mel_are_drawn_bin_by_bin():
  """One bin may be a thousand times another: each has its own mean."""
  scale = np.array([1000.0, 1.0, 0.0])
  real = [np.random.default_rng(0).normal(size=(4, 50, 3)) * scale + 7]
  figure = gallery.grid(real, [real[0][:1]], ["jazz"], decibels=False)
  shown = np.stack([image.get_array() for image in drawn(figure)])
  np.testing.assert_allclose(shown[:4].std(axis=(0, 2)), [1, 1, 0], atol=1e-9)
  np.testing.assert_allclose(shown[:4].mean(axis=(0, 2)), 0, atol=1e-9)
  np.testing.assert_array_equal(shown[4], shown[0])


def fake(source: str, spec: FeatureSpec, wrong: int | None = None, shape=None):
  """A generator that makes tones, one a genre, and a train split of them."""

  def made(label):
    hz = 300.0 * (1 + label)
    audio = [mono_waveform.to_int16(tones(each, each)[:11_025]) for each in hz]
    audio = np.stack(audio)
    values = np.array(features.extract(mono_waveform.to_float(audio), spec))
    if shape:
      values = np.random.default_rng(0).normal(size=(len(label), *shape))
    values[label == wrong] = np.nan
    stored = {"features": values, "label": label}
    return stored | {"audio": audio} if source == "audio" else stored

  def examples(label, seed=0, first=0):
    half = len(label) // 2
    yield made(label[:half])
    yield made(label[half:])

  label = np.array([0, 1, 1, 1], np.int32)
  train = types.SimpleNamespace(
    labels=lambda: label, take=lambda places: made(label[places])
  )
  run = {"genres": ["jazz", "pop"], "columns_per_frame": None}
  return types.SimpleNamespace(
    source=source, spec=spec, run=run, examples=examples
  ), train


@pytest.mark.slow
@pytest.mark.parametrize(
  ("source", "spec", "wrong", "sounds"),
  [
    ("audio", features.get("mfcc"), None, {"jazz": 300, "pop": 600}),
    ("features", HALF, None, {"jazz": 300, "pop": 600}),
    ("features", HALF, 0, {"pop": 600}),
    ("features", features.get("mfcc"), None, {}),
  ],
  ids=["waveform", "log-mel", "diverged", "mfcc"],
)
def test_each_kind_of_gan_has_its_pictures_and_sounds(
  source, spec, wrong, sounds
):
  made = gallery.build(*fake(source, spec, wrong), 0, pictures=3, wavs=1)
  assert made.picture.startswith(b"\x89PNG")
  assert set(made.sounds) == set(sounds)
  for genre, hz in sounds.items():
    (wav,) = made.sounds[genre]
    samples, rate = read(wav)
    assert rate == RATE
    assert loudest(samples[2000:9000]) == pytest.approx(hz, abs=25)


@pytest.mark.parametrize("shape", [(57,), (6, 9, 3)], ids=str)
def test_rows_and_pictures_are_drawn_as_well(shape, monkeypatch):
  seen, grid = [], gallery.grid

  def spied(real, generated, *args, **kwargs):
    seen.append(generated[0][0])
    return grid(real, generated, *args, **kwargs)

  monkeypatch.setattr(gallery, "grid", spied)
  made, train = fake("features", features.get("mfcc"), shape=shape)
  assert not gallery.build(made, train, 0, pictures=1).sounds
  stored = next(made.examples(np.array([0, 1])))["features"][0]
  if len(shape) == 1:
    np.testing.assert_array_equal(seen[0], stored[None])
  else:  # the first row of a picture is its top, bins go upwards
    np.testing.assert_allclose(seen[0][4, -1], stored[0, 4].mean())
