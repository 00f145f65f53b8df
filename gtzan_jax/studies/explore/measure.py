"""Measures of one track, and its excerpt for the page, by corpus kind."""

import base64
import io
from typing import NamedTuple

import numpy as np
import soundfile
from PIL import Image

from gtzan_jax import features
from gtzan_jax.audio import waveform
from gtzan_jax.features import FeatureSpec, kaggle_table, mel
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
  group: str


class Measured(NamedTuple):
  """Measures of a track. `digest` is the sha256 (hex) of its content; `excerpt`
  starts at `start` and lasts `seconds`; `bandwidth` in Hz, of audio only."""

  values: dict[str, float]
  digest: str
  faults: tuple[str, ...] = ()
  excerpt: np.ndarray | None = None
  start: float = 0.0
  seconds: float = 0.0
  bandwidth: float | None = None


def _more(names) -> dict[str, Measure]:
  return {name: Measure(name, "", "more") for name in names}


_MFCC = tuple(f"mfcc{i}" for i in range(1, _SOUND.n_mfcc + 1))
_SPECTRUM = {
  "centroid": Measure("spectral centroid", "Hz", "sound"),
  "bandwidth": Measure("spectral bandwidth", "Hz", "sound"),
  "rolloff": Measure("roll-off, 85 %", "Hz", "sound"),
}
_FIRST = tuple(
  n for n in kaggle_table.COLUMNS if n[:4] != "mfcc" and "var" not in n
)
_UNITS = {
  "spectral_centroid_mean": "Hz",
  "spectral_bandwidth_mean": "Hz",
  "rolloff_mean": "Hz",
  "tempo": "beats a minute",
}

MEASURES: dict[str, dict[str, Measure]] = {
  "audio": {
    "seconds": Measure("length", "s", "length"),
    "peak": Measure("peak", "of full scale", "level"),
    "clipped": Measure("clipped samples", "%", "level"),
    "silence": Measure("silent frames", "%", "level"),
    "rms": Measure("RMS", "of full scale", "sound"),
    **_SPECTRUM,
    "zero_crossing_rate": Measure("zero-crossing rate", "a sample", "sound"),
    "chroma": Measure("chroma, mean", "0 to 1", "sound"),
    **_more(_MFCC),
  },
  "logmel": {
    "seconds": Measure("length", "s", "length"),
    "level": Measure("level, mean", "dB", "sound"),
    "peak": Measure("level, highest", "dB", "sound"),
    "dynamics": Measure("dynamics, 5 to 95 %", "dB", "sound"),
    **_SPECTRUM,
    **_more(_MFCC),
  },
  "picture": {
    "width": Measure("width", "pixels", "length"),
    "height": Measure("height", "pixels", "length"),
    "brightness": Measure("brightness", "of white", "sound"),
    "contrast": Measure("contrast", "of white", "sound"),
    "white": Measure("white pixels", "%", "sound"),
    "red": Measure("red", "of full", "sound"),
    "green": Measure("green", "of full", "sound"),
    "blue": Measure("blue", "of full", "sound"),
  },
  "table": {
    "lines": Measure("lines", "", "length"),
    **{name: Measure(name, _UNITS.get(name, ""), "sound") for name in _FIRST},
    **_more(name for name in kaggle_table.COLUMNS if name not in _FIRST),
  },
}


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
    return Measured({}, facts["content"], (fault,))
  return function(content)._replace(
    digest=facts["content"], bandwidth=facts.get("bandwidth")
  )


def _of_audio(content) -> Measured:
  samples = content.samples
  rate = waveform.SAMPLE_RATE
  frames = features.extract_clip(_middle(samples, LONGEST)[1], _SOUND)
  means = frames.mean(axis=0, dtype=np.float64)
  chroma = means[len(_PARTS) : -_SOUND.n_mfcc].mean()
  size = np.abs(samples)
  clipped = float((size >= LIMIT).mean())
  silence = float((frames[:, 0] < SILENT).mean())
  faults = []
  if np.ptp(samples) < SILENT:
    faults = ["constant: nothing to hear"]
  elif silence > MUTE:
    faults = [f"{100 * silence:.0f} % of it is silent"]
  if clipped > CLIPPED:
    faults.append(f"{100 * clipped:.1f} % of its samples are clipped")
  start, excerpt = _middle(samples, SECONDS)
  return Measured(
    {
      "seconds": len(samples) / rate,
      "peak": float(size.max()),
      "clipped": 100 * clipped,
      "silence": 100 * silence,
      **dict(zip(_PARTS, means[: len(_PARTS)].tolist(), strict=True)),
      "chroma": float(chroma),
      **dict(zip(_MFCC, means[-len(_MFCC) :].tolist(), strict=True)),
    },
    "",
    tuple(faults),
    excerpt.copy(),
    start / rate,
    len(excerpt) / rate,
  )


def _middle(samples: np.ndarray, seconds: float) -> tuple[int, np.ndarray]:
  """Start and content of the middle part of that length."""
  length = round(seconds * waveform.SAMPLE_RATE)
  start = max(0, len(samples) - length) // 2
  return start, samples[start : start + length]


def _of_logmel(content) -> Measured:
  db = content.db
  # What no music reaches must not overflow either.
  power = 10 ** (np.clip(db, -300, 300).astype(np.float64) / 10)
  column = 10 * np.log10(power.mean(axis=1))
  quiet, loud = np.percentile(column, (5, 95))
  hz, weight = _bands(np.sqrt(power))
  centroid = (weight * hz).sum(axis=1)
  spread = (weight * (hz - centroid[:, None]) ** 2).sum(axis=1)
  rolled = (weight.cumsum(axis=1) < ROLL).sum(axis=1)
  cepstra = np.asarray(features.from_logmel(db, _CEPSTRA)).mean(axis=0)
  seconds = content.n_frames * HOP / waveform.SAMPLE_RATE
  kept = np.linspace(0, len(db) - 1, min(len(db), _COLUMNS)).astype(int)
  return Measured(
    {
      "seconds": seconds,
      "level": float(10 * np.log10(power.mean())),
      "peak": float(db.max()),
      "dynamics": float(loud - quiet),
      "centroid": float(centroid.mean()),
      "bandwidth": float(np.sqrt(spread).mean()),
      "rolloff": float(hz[np.minimum(rolled, len(hz) - 1)].mean()),
      **dict(zip(_MFCC, cepstra.tolist(), strict=True)),
    },
    "",
    ("constant: every band at one level",) if np.ptp(db) < 1 else (),
    db[kept],
    seconds=seconds,
  )


def _bands(magnitude: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Centre of each mel band in Hz, and its share of each column's magnitude:
  the band's mean times its width."""
  edge = mel.hz_to_mel(waveform.SAMPLE_RATE / 2)
  edges = mel.mel_to_hz(np.linspace(0, edge, magnitude.shape[1] + 2))
  weight = magnitude * (edges[2:] - edges[:-2])
  return edges[1:-1], weight / weight.sum(axis=1, keepdims=True)


def _of_picture(content) -> Measured:
  rgb = content.rgb
  grey = rgb.mean(axis=2) / 255
  red, green, blue = (rgb.mean(axis=(0, 1)) / 255).tolist()
  return Measured(
    {
      "width": float(rgb.shape[1]),
      "height": float(rgb.shape[0]),
      "brightness": float(grey.mean()),
      "contrast": float(grey.std()),
      "white": 100 * float((rgb.min(axis=2) >= 250).mean()),
      **{"red": red, "green": green, "blue": blue},
    },
    "",
    ("constant: one colour",) if np.ptp(grey) < 0.02 else (),
    rgb,
  )


def _of_table(content) -> Measured:
  means = content.rows.mean(axis=0, dtype=np.float64).tolist()
  columns = dict(zip(kaggle_table.COLUMNS, means, strict=True))
  return Measured({"lines": float(len(content.rows)), **columns}, "")


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
    return {"picture": _encoded(picture, "JPEG", quality=85)}
  if kind == "logmel":
    return {"levels": _levels(shown)}
  stretches = np.array_split(shown, min(_POINTS, len(shown)))
  return {
    "wave": [
      [round(float(end(part)), 3) for part in stretches]
      for end in (np.min, np.max)
    ],
    "levels": _levels(features.extract_clip(shown, _LOGMEL)),
    "sound": _mp3(shown),
  }


def _levels(db: np.ndarray) -> str:
  level = np.clip(1 + (db - db.max()) / _LOGMEL.top_db, 0, 1)
  # Invisible steps halve the picture in bytes.
  level = np.rint(level * _STEPS) / _STEPS
  grey = Image.fromarray(np.rint(255 * level.T[::-1]).astype(np.uint8))
  return _encoded(grey, "PNG", optimize=True)


def _encoded(picture: Image.Image, form: str, **options) -> str:
  file = io.BytesIO()
  picture.save(file, form, **options)
  return base64.b64encode(file.getvalue()).decode()


def _mp3(samples: np.ndarray) -> str:
  """40 kbit/s. Unlike Ogg, whose stream numbers are random, equal audio gives
  equal bytes."""
  file = io.BytesIO()
  with soundfile.SoundFile(
    file,
    "w",
    waveform.SAMPLE_RATE,
    channels=1,
    format="MP3",
    subtype="MPEG_LAYER_III",
    bitrate_mode="CONSTANT",
    compression_level=0.8,
  ) as encoder:
    encoder.write(np.clip(samples, -1, 1))
  return base64.b64encode(file.getvalue()).decode()
