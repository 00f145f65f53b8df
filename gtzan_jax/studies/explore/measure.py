"""Measures of one track, and its excerpt for the page, by corpus kind."""

import base64
import io
from typing import NamedTuple

import numpy as np
import soundfile
from PIL import Image

from gtzan_jax import features
from gtzan_jax.audio import mono_waveform
from gtzan_jax.features import FeatureSpec, kaggle_columns, mel
from gtzan_jax.features.logmel_archive import HOP
from gtzan_jax.features.spectral import ROLL

SHOWN = 20  # genres in pictures and examples, the first; tables have all
SECONDS = 10.0  # of an excerpt, from the middle of its track
LONGEST = 120.0  # seconds of a longer track, its middle, that are measured
LIMIT = 0.999  # of full scale: samples beyond count as clipped
SILENT = 1e-3  # RMS of a frame, of full scale: -60 dB
CLIPPED = 0.01  # share of samples from which on a track is conspicuous
MUTE = 0.5  # share of frames, likewise

_PARTS = ("rms", "centroid", "bandwidth", "rolloff", "zero_crossing_rate")
_SOUND = FeatureSpec(
  "explore", kinds=("audio",), parts=(*_PARTS, "chroma", "mfcc")
)
_LOGMEL = FeatureSpec("explore_logmel")
_CEPSTRA = FeatureSpec("explore_mfcc", parts=("mfcc",))
_COLUMNS = 600  # of a log-mel's picture at most
_WIDE = 432  # pixels of a picture at most, wide or high
_STEPS = 40  # of 2 dB each in it
_POINTS = 400  # of a drawn waveform


class Measure(NamedTuple):
  """A number of a track: label, unit ("" for none) and group on the page."""

  label: str
  unit: str
  group: str = "sound"


_SECONDS = {"seconds": Measure("length", "s", "length")}
_SPECTRUM = {
  "centroid": Measure("spectral centroid", "Hz"),
  "bandwidth": Measure("spectral bandwidth", "Hz"),
  "rolloff": Measure("roll-off, 85 %", "Hz"),
}
_MFCC = {
  name: Measure(name, "", "more")
  for name in (f"mfcc{i}" for i in range(1, _SOUND.n_mfcc + 1))
}
_UNITS = {
  "spectral_centroid_mean": "Hz",
  "spectral_bandwidth_mean": "Hz",
  "rolloff_mean": "Hz",
  "tempo": "beats a minute",
}
_TABLE = {
  name: Measure(
    name,
    _UNITS.get(name, ""),
    "more" if name.startswith("mfcc") or "var" in name else "sound",
  )
  for name in kaggle_columns.COLUMNS
}

MEASURES: dict[str, dict[str, Measure]] = {
  "audio": {
    **_SECONDS,
    "peak": Measure("peak", "of full scale", "level"),
    "clipped": Measure("clipped samples", "%", "level"),
    "silence": Measure("silent frames", "%", "level"),
    "rms": Measure("RMS", "of full scale"),
    **_SPECTRUM,
    "zero_crossing_rate": Measure("zero-crossing rate", "a sample"),
    "chroma": Measure("chroma, mean", "0 to 1"),
    **_MFCC,
  },
  "logmel": {
    **_SECONDS,
    "level": Measure("level, mean", "dB"),
    "peak": Measure("level, highest", "dB"),
    "dynamics": Measure("dynamics, 5 to 95 %", "dB"),
    **_SPECTRUM,
    **_MFCC,
  },
  "picture": {
    "width": Measure("width", "pixels", "length"),
    "height": Measure("height", "pixels", "length"),
    "brightness": Measure("brightness", "of white"),
    "contrast": Measure("contrast", "of white"),
    "white": Measure("white pixels", "%"),
    "red": Measure("red", "of full"),
    "green": Measure("green", "of full"),
    "blue": Measure("blue", "of full"),
  },
  "table": {
    "lines": Measure("lines", "", "length"),
    # The groups in the order of the page.
    **dict(sorted(_TABLE.items(), key=lambda item: item[1].group == "more")),
  },
}


class Measured(NamedTuple):
  """Measures of a track. `excerpt` starts at `start` and lasts `seconds`;
  `digest` is the sha256 (hex) of its content; `bandwidth` in Hz, of audio."""

  values: dict[str, float]
  faults: tuple[str, ...] = ()
  excerpt: np.ndarray | None = None
  start: float = 0.0
  seconds: float = 0.0
  digest: str = ""
  bandwidth: float | None = None


def measure(kind: str, content) -> Measured:
  """Measures a track of a corpus kind, from what its `read` returned: samples
  float32 [n], db float32 [columns, 128], rgb uint8 [h, w, 3] or rows float32
  [s, 57]."""
  field, function = _FUNCTIONS[kind]
  array = getattr(content, field)
  wrong = array.size - int(np.isfinite(array).sum())
  facts = content.facts
  if wrong:
    fault = f"{wrong:,} of {array.size:,} values are not finite"
    return Measured({}, (fault,), digest=facts["content"])
  measured = function(content)
  return measured._replace(
    values={name: float(value) for name, value in measured.values.items()},
    digest=facts["content"],
    bandwidth=facts.get("bandwidth"),
  )


def _values(kind: str, *numbers: float) -> dict[str, float]:
  return dict(zip(MEASURES[kind], numbers, strict=True))


def _of_audio(content) -> Measured:
  samples, rate = content.samples, mono_waveform.SAMPLE_RATE
  frames = features.extract_clip(_middle(samples, LONGEST)[1], _SOUND)
  means = frames.mean(axis=0, dtype=np.float64)
  of_parts, chroma, cepstra = np.split(means, (len(_PARTS), -len(_MFCC)))
  size = np.abs(samples)
  clipped = (size >= LIMIT).mean()
  silence = (frames[:, 0] < SILENT).mean()
  faults = []
  if np.ptp(samples) < SILENT:
    faults = ["constant: nothing to hear"]
  elif silence > MUTE:
    faults = [f"{100 * silence:.0f} % of it is silent"]
  if clipped > CLIPPED:
    faults.append(f"{100 * clipped:.1f} % of its samples are clipped")
  start, excerpt = _middle(samples, SECONDS)
  levels = (len(samples) / rate, size.max(), 100 * clipped, 100 * silence)
  return Measured(
    _values("audio", *levels, *of_parts, chroma.mean(), *cepstra),
    tuple(faults),
    excerpt.copy(),
    start / rate,
    len(excerpt) / rate,
  )


def _middle(samples: np.ndarray, seconds: float) -> tuple[int, np.ndarray]:
  """Start and content of the middle part of that length."""
  length = round(seconds * mono_waveform.SAMPLE_RATE)
  start = max(0, len(samples) - length) // 2
  return start, samples[start : start + length]


def _of_logmel(content) -> Measured:
  db = content.db
  # What no music reaches must not overflow either.
  power = 10 ** (np.clip(db, -300, 300).astype(np.float64) / 10)
  quiet, loud = np.percentile(10 * np.log10(power.mean(axis=1)), (5, 95))
  hz, weight = _bands(np.sqrt(power))
  centroid = (weight * hz).sum(axis=1)
  spread = (weight * (hz - centroid[:, None]) ** 2).sum(axis=1)
  rolled = (weight.cumsum(axis=1) < ROLL).sum(axis=1)
  cepstra = np.asarray(features.from_logmel(db, _CEPSTRA)).mean(axis=0)
  seconds = content.n_frames * HOP / mono_waveform.SAMPLE_RATE
  kept = np.linspace(0, len(db) - 1, min(len(db), _COLUMNS)).astype(int)
  return Measured(
    _values(
      "logmel",
      seconds,
      10 * np.log10(power.mean()),
      db.max(),
      loud - quiet,
      centroid.mean(),
      np.sqrt(spread).mean(),
      hz[np.minimum(rolled, len(hz) - 1)].mean(),
      *cepstra,
    ),
    ("constant: every band at one level",) if np.ptp(db) < 1 else (),
    db[kept],
    seconds=seconds,
  )


def _bands(magnitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Centre of each mel band in Hz, and its share of each column's magnitude:
  the band's mean times its width."""
  edge = mel.hz_to_mel(mono_waveform.SAMPLE_RATE / 2)
  edges = mel.mel_to_hz(np.linspace(0, edge, magnitude.shape[1] + 2))
  weight = magnitude * (edges[2:] - edges[:-2])
  return edges[1:-1], weight / weight.sum(axis=1, keepdims=True)


def _of_picture(content) -> Measured:
  rgb = content.rgb
  grey = rgb.mean(axis=2) / 255
  white = 100 * (rgb.min(axis=2) >= 250).mean()
  light = (grey.mean(), grey.std(), white, *(rgb.mean(axis=(0, 1)) / 255))
  return Measured(
    _values("picture", rgb.shape[1], rgb.shape[0], *light),
    ("constant: one colour",) if np.ptp(grey) < 0.02 else (),
    rgb,
  )


def _of_table(content) -> Measured:
  means = content.rows.mean(axis=0, dtype=np.float64)
  columns = dict(zip(kaggle_columns.COLUMNS, means, strict=True))
  return Measured({"lines": len(content.rows), **columns})


# Where a track's array is, and what measures it.
_FUNCTIONS = {
  "audio": ("samples", _of_audio),
  "logmel": ("db", _of_logmel),
  "picture": ("rgb", _of_picture),
  "table": ("rows", _of_table),
}


def media(kind: str, measured: Measured) -> dict | None:
  """A track's excerpt as JSON values, None if it has none: "wave" (lowest and
  highest sample of each stretch), and in base64 "levels" (grey PNG of the
  log-mel over its own 80 dB), "sound" (MP3) or "picture" (JPEG)."""
  shown = measured.excerpt
  if shown is None:
    return None
  if kind == "picture":
    picture = Image.fromarray(shown)
    picture.thumbnail((_WIDE, _WIDE))
    return {"picture": _encoded(picture.save, "JPEG", quality=85)}
  if kind == "logmel":
    return {"levels": _levels(shown)}
  stretches = np.array_split(shown, min(_POINTS, len(shown)))
  return {
    "wave": [
      [round(float(end(part)), 3) for part in stretches]
      for end in (np.min, np.max)
    ],
    "levels": _levels(features.extract_clip(shown, _LOGMEL)),
    # Unlike Ogg, whose stream numbers are random, equal audio gives equal
    # bytes. The last is the compression for 40 kbit/s.
    "sound": _encoded(
      soundfile.write,
      np.clip(shown, -1, 1),
      mono_waveform.SAMPLE_RATE,
      format="MP3",
      subtype="MPEG_LAYER_III",
      bitrate_mode="CONSTANT",
      compression_level=0.8,
    ),
  }


def _levels(db: np.ndarray) -> str:
  level = np.clip(1 + (db - db.max()) / _LOGMEL.top_db, 0, 1)
  # Invisible steps halve the picture in bytes.
  level = np.rint(level * _STEPS) / _STEPS
  grey = Image.fromarray(np.rint(255 * level.T[::-1]).astype(np.uint8))
  return _encoded(grey.save, "PNG", optimize=True)


def _encoded(save, *args, **options) -> str:
  """What `save(file, ...)` writes, in base64."""
  file = io.BytesIO()
  save(file, *args, **options)
  return base64.b64encode(file.getvalue()).decode()
