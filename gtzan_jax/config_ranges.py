"""The type and range of each key of a config, a feature spec and the flags.

The command line is checked against it before anything is prepared, a run.json
as it is read, for a run folder may be a stranger's. Upper bounds keep
allocations within a machine's memory and counts within 32 bits.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gtzan_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class Range:
  """Accepted values of one key, in words for messages, and their test."""

  accepted: str
  holds: Callable[[object], bool]


def whole(least: int, most: int) -> Range:
  """Integers from `least` to `most`."""
  return Range(
    f"a whole number from {least} to {most}",
    lambda x: type(x) is int and least <= x <= most,
  )


def real(
  least: float, most: float, *, above: bool = False, below: bool = False
) -> Range:
  """Finite numbers from `least` (or above it) to `most` (or below it)."""
  text = f"a number {'above' if above else 'from'} {least:g}"
  text += f"{' and below' if below else ' to'} {most:g}"
  return Range(
    text,
    lambda x: (
      type(x) in (int, float)
      and math.isfinite(x)
      and (least < x if above else least <= x)
      and (x < most if below else x <= most)
    ),
  )


def text(*choices: str, longest: int = 4096) -> Range:
  """One of the choices; without any, text that can be a path."""
  if choices:
    return Range(
      f"one of {', '.join(choices)}",
      lambda x: isinstance(x, str) and x in choices,
    )
  return Range(
    f"text of up to {longest} characters without NUL, as a path of names of up"
    " to 255 bytes",
    lambda x: isinstance(x, str) and len(x) <= longest and is_name(x),
  )


def is_name(path: str) -> bool:
  """Whether a file system takes a path: no NUL, no name above 255 bytes."""
  names = path.encode("utf-8", "surrogatepass").split(b"/")
  return "\0" not in path and max(map(len, names)) <= 255


def maybe(one: Range) -> Range:
  """The same, or None."""
  return Range(f"{one.accepted}, or none", lambda x: x is None or one.holds(x))


def several(one: Range, least: int = 0, most: int = 10**7) -> Range:
  """A tuple or a list of `least` to `most` values."""
  return Range(
    f"{least} to {most} values, each {one.accepted}",
    lambda x: (
      isinstance(x, tuple | list)
      and least <= len(x) <= most
      and all(map(one.holds, x))
    ),
  )


# A name within a folder, in a stranger's JSON file.
FILE = Range(
  "the name of a file, without '/'",
  lambda x: (
    isinstance(x, str)
    and x not in ("", ".", "..")
    and "/" not in x
    and is_name(x)
  ),
)
FLAG = Range("true or false", lambda x: isinstance(x, bool))
NAME = text()
# Of prepared data, whose writer takes no other names.
UTF8 = Range(
  f"{NAME.accepted}, in UTF-8",
  lambda x: NAME.holds(x) and not any(0xD800 <= ord(c) < 0xE000 for c in x),
)
PATH = maybe(NAME)
_SEED = whole(0, 2**32 - 1)
_BATCH = whole(1, 8192)
_STEPS = whole(0, 2**31 - 1)
_POSITIVE = real(0, 10, above=True)
_SHARE = real(0, 1)
_KEPT = real(0, 1, below=True)

# Scalars that the loop may monitor, by task; never one of the test split.
_CLASSIFIERS = (
  "train/loss",
  "train/accuracy",
  "validation/loss",
  "validation/accuracy",
  "validation/track_loss",
  "validation/track_accuracy",
  "validation/track_macro_f1",
)
MONITORS = {
  "classify": _CLASSIFIERS,
  "classical": _CLASSIFIERS,
  "gan": (
    "validation/frechet_distance",
    "validation/coverage",
    "validation/genre_share",
  ),
}
# Examples generated for a measure that chooses a checkpoint.
MOST_SAMPLES = 100_000

# Every key of configs/default.py. Names in a table (models, feature sets,
# protocols, optimizers) and the other keys of `model` are checked there.
CONFIG = {
  "recipe": NAME,
  "task": text(*MONITORS),
  "seed": _SEED,
  "data.path": PATH,
  "data.labels": NAME,
  "data.artists": NAME,
  "data.dir": UTF8,
  "data.features": NAME,
  "data.protocol": NAME,
  "data.splits": NAME,
  "data.split_seed": _SEED,
  "data.fold": whole(-(10**6), 10**6),  # which there are, the protocol knows
  "data.train_fraction": _SHARE,
  "data.train_segments": _STEPS,
  "data.leak": NAME,
  "data.leak_share": _SHARE,
  "data.genres": several(NAME, most=10_000),
  "data.allow": several(NAME, most=100),
  "data.tracks_per_genre": whole(1, 100_000),
  "data.standardize": text("none", "global", "bin"),
  "data.augment_with": PATH,
  "data.augment_ratio": real(0, 100),
  "data.augment_only": FLAG,
  "data.cache_mb": whole(0, 10**8),
  "model.name": NAME,
  "optim.name": NAME,
  "optim.learning_rate": _POSITIVE,
  "optim.b1": _KEPT,
  "optim.b2": _KEPT,
  "optim.eps": real(0, 1, above=True),
  "optim.eps_rule": NAME,
  "optim.momentum": _KEPT,
  "optim.weight_decay": real(0, 1000),
  "optim.clip_norm": real(0, 1e9),
  "optim.schedule": NAME,
  "optim.warmup_epochs": real(0, 1e6),
  "optim.decay_rate": _POSITIVE,
  "optim.decay_begin": whole(0, 10**6),
  "optim.plateau_factor": real(0, 1, above=True),
  "optim.plateau_patience": whole(0, 10**6),
  "optim.min_learning_rate": real(0, 10),
  "gan.domain": text("features", "audio"),
  "gan.loss": NAME,
  "gan.r1": real(0, 1e6),
  "gan.discriminator_rate": real(0, 1e6, above=True),
  "gan.average": real(0, 0.99999),
  "gan.judge": PATH,
  "gan.samples": whole(20, MOST_SAMPLES),
  "loss.label_smoothing": _KEPT,
  "loss.class_weights": text("none", "balanced"),
  "loss.l2": real(0, 1e6),
  "loss.l2_layers": NAME,
  "augment.gain_db": real(0, 200),
  "augment.shift_s": real(0, 3600),
  "augment.noise_probability": _SHARE,
  "augment.noise_snr_db": several(real(-200, 200), 2, 2),
  "augment.time_masks": whole(0, 1000),
  "augment.time_width": _SHARE,
  "augment.bin_masks": whole(0, 1000),
  "augment.bin_width": _SHARE,
  "augment.mixup_alpha": real(0, 1000),
  "train.init_from": PATH,
  "train.batch_size": _BATCH,
  "train.epochs": whole(1, 10**6),
  "train.epoch_steps": _STEPS,
  "train.max_steps": _STEPS,
  "train.monitor": NAME,
  "train.ties": text("loss", "first"),
  "train.patience": whole(0, 10**6),
  "eval.batch_size": _BATCH,
  "eval.bootstrap": whole(1, 10**5),
  "log.every_steps": whole(1, 2**31 - 1),
  "log.tensorboard": FLAG,
  "log.compilation_cache": NAME,
}

# Flags of the command line that are numbers, and those that are paths.
FLAGS = {
  "columns_per_second": real(0, 1000, above=True),  # the archive knows which
  "count": whole(1, 100_000),
  "seeds": whole(1, 1000),
  "seed": _SEED,
}
PATH_FLAGS = ("workdir", "out", "archive", "sweep")

# features.parts.PARTS, which imports JAX, and the two that stand alone.
_PARTS = (
  *("logmel", "mfcc", "chroma", "contrast", "centroid", "bandwidth"),
  *("rolloff", "zero_crossing_rate", "rms", "picture", "table57"),
)
# Every key of features.FeatureSpec.
SPEC = {
  "name": NAME,
  "kinds": several(text("audio", "logmel", "picture", "table"), 1, 4),
  "parts": several(text(*_PARTS), 1, 100),
  "sample_rate": Range("22050, as all sound is read", lambda x: x == 22_050),
  "n_fft": whole(16, 2**16),
  "hop_length": whole(1, 2**16),
  "center": FLAG,
  "n_mels": whole(1, 2048),
  "top_db": real(0, 400, above=True),
  "n_mfcc": whole(1, 2048),
  "max_frames": maybe(whole(1, 10**5)),
  "size": maybe(whole(8, 2048)),
  "whole_clip": FLAG,
  "segment_samples": whole(16, 2**24),
  "segments_per_track": whole(1, 10_000),
}
_MOST_CELLS = 2**28  # samples in all windows of a track: 1 GiB


# Options of models and GANs that are not sizes. Most count layers that are
# traced one by one, which takes a second for some hundred.
_COUNTS = whole(1, 256)
_OPTIONS = {
  **dict.fromkeys(("layers", "depth", "pools", "kernels"), _COUNTS),
  **dict.fromkeys(("pool_frames", "pool_bins"), _COUNTS),
  "trainable_from": whole(0, 256),
}
# Fields of models that the data and Linen set.
_NO_OPTIONS = ("model.num_classes", "model.example_shape", "model.parent")
_BY_TYPE = {bool: FLAG, int: whole(1, 2**16), float: _KEPT, str: NAME}


def options(
  what: str, given: Mapping[str, object], defaults: Mapping[str, object]
) -> dict[str, Any]:
  """The options of a model or a GAN, each of the range of its default.

  A list becomes a tuple (JSON has none). InputError, naming `what`.
  """
  for key, value in given.items():
    if key not in defaults:
      raise InputError(
        f"{what} has no option {key!r}; its options are {', '.join(defaults)}"
      )
    wanted = option(key, defaults[key])
    if not wanted.holds(value):
      raise InputError(
        f"{what}: {key}={brief(value)}: give {wanted.accepted}, as"
        f" {defaults[key]!r}"
      )
  return {
    key: tuple(value) if isinstance(value, list) else value
    for key, value in given.items()
  }


def option(key: str, default: object) -> Range:
  """The range of a model's or a GAN's option, by its default.

  A size from 1, a share from 0 and below 1, a name, a flag, or several.
  """
  if isinstance(default, tuple):
    return several(option(key, default[0]), 1, 64)
  return _OPTIONS.get(key, _BY_TYPE[type(default)])


def flatten(config: Mapping, prefix: str = "") -> dict[str, object]:
  """{"train": {"epochs": 3}} -> {"train.epochs": 3}."""
  flat = {}
  for key, value in config.items():
    if isinstance(value, Mapping):
      flat |= flatten(value, f"{prefix}{key}.")
    else:
      flat[prefix + key] = value
  return flat


def listed(paths: str) -> list[str]:
  """The files of config.data.splits: "a.txt,b.txt", or a tuple's text."""
  words = paths.strip().strip("()").split(",")
  files = [word for one in words if (word := one.strip().strip("'\""))]
  if len(words) > 1 and not files:  # as of variables of a shell that are unset
    raise InputError(
      f"config.data.splits={paths}: no file name between the commas"
    )
  return files


def problems(
  values: Mapping[str, object], table: Mapping[str, Range]
) -> Iterator[str]:
  """Problems of flat values: "train.epochs=0: give a whole number ..."."""
  for key in sorted(table.keys() - values.keys()):
    yield f"{key} is absent: give {table[key].accepted}"
  for key, value in values.items():
    if key in table and not table[key].holds(value):
      yield f"{key}={brief(value)}: give {table[key].accepted}"
    elif key not in table and (
      not key.startswith("model.") or key in _NO_OPTIONS
    ):
      yield f"{key}={brief(value)}: unknown key"


def brief(value: object) -> str:
  """A value in a message, cut short."""
  if isinstance(value, int) and abs(value) >= 10**60:
    return f"a number of {value.bit_length()} bits"
  line = " ".join(repr(value).split())
  return line if len(line) <= 80 else f"{line[:77]}..."


def spec_problems(values: Mapping[str, object]) -> Iterator[str]:
  """Problems of a feature spec, and of its numbers together."""
  wrong = list(problems(values, SPEC))
  yield from wrong
  if wrong:
    return
  fft, hop = values["n_fft"], values["hop_length"]
  if not fft / 64 <= hop <= fft:
    yield f"hop_length={hop}: give {-(-fft // 64)} to n_fft, {fft}"
  if values["n_mfcc"] > values["n_mels"]:
    yield f"n_mfcc={values['n_mfcc']}: give 1 to n_mels, {values['n_mels']}"
  if "picture" in values["parts"] and not values["size"]:
    yield "size=None: parts with a picture have one, from 8 to 2048"
  if not values["whole_clip"]:
    frames = values["segment_samples"] // hop
    cells = frames * fft * values["segments_per_track"]
    if cells > _MOST_CELLS:
      yield (
        f"segment_samples={values['segment_samples']}: at hop_length={hop},"
        f" n_fft={fft} and segments_per_track={values['segments_per_track']}"
        f" the windows of a track have {cells} samples; give at most"
        f" {_MOST_CELLS}"
      )


def config_problems(values: Mapping[str, object]) -> Iterator[str]:
  """Problems of a flat config, and of its values together."""
  wrong = list(problems(values, CONFIG))
  yield from wrong
  if wrong:
    return
  monitors: Sequence[str] = MONITORS[values["task"]]
  if values["train.monitor"] not in monitors:
    yield (
      f"train.monitor={values['train.monitor']!r}: give one of"
      f" {', '.join(monitors)} (never a scalar of the test split)"
    )
  steps = values["train.epochs"] * values["train.epoch_steps"]
  if steps >= 2**31:
    yield (
      f"train.epochs={values['train.epochs']}: of"
      f" {values['train.epoch_steps']} steps each these are {steps} steps; give"
      f" at most {2**31 - 1} in all"
    )
