"""What a report.json has, key by key. docs/report.md says what each means."""

import json
import pathlib
from collections.abc import Callable, Iterator, Mapping

from gtzan_jax import config_ranges
from gtzan_jax.errors import InputError
from gtzan_jax.scores import calibration

# A spec is a type, a Range, a tuple of specs (any of them), a list of one spec
# (each item) or a dict of specs; in a dict ... stands for all other keys,
# and a Range for those that it holds.
_MAYBE = type(None)
_GENRE = {
  "precision": (float, _MAYBE),
  "recall": (float, _MAYBE),
  "f1": (float, _MAYBE),
  "support": int,
}
_LEVEL = {
  "n": int,
  "accuracy": float,
  "ci95": [float],
  "top3": float,
  "macro_precision": float,
  "macro_recall": float,
  "macro_f1": float,
  "weighted_f1": float,
  "loss": float,
  "ece": float,
  "per_genre": {...: _GENRE},
  "confusion": [[int]],
}
_BINS = [{"confidence": float, "accuracy": float, "n": int}]
_SCALED = {
  "temperature": float,
  "ece": float,
  "ece_after": float,
  "loss": float,
  "loss_after": float,
  "reliability": _BINS,
}
_EMPTY = {"n": int}
_EXTERNAL = {
  "workdir": str,
  "trained_on": str,
  "kind": str,
  "path": (str, _MAYBE),
  "tracks": int,
  "genres": {...: str},
  "unmatched": {...: int},
  "absent": [str],
  "learnt": int,
  "namesakes": int,
}
# Of a GAN, on each split. gan/fidelity.py says what each is.
GAN_MEASURES = (
  *("frechet_distance", "frechet_real", "frechet_ratio", "coverage"),
  *("density", "diversity", "nearest", "genre_share"),
)
_MEASURES = dict.fromkeys(GAN_MEASURES, (float, _MAYBE))
_GAN = {
  "domain": str,
  "generated": int,
  "chance": float,
  "collapsed": bool,
  "memorised": bool,
  "judge": {"recipe": str, "path": str, "accuracy": float},
  "measures": {"validation": _MEASURES, ...: _MEASURES},
  "genre_share": {...: (float, _MAYBE)},
}
_MEMBER: dict = dict.fromkeys(("recipe", "data_fingerprint", "config"), str)
# Of a run's config, or an ensemble's, what is read from its report.
_CONFIG: dict = {
  "members": {...: {**_MEMBER, "seed": int, ...: object}},
  "data": {
    "path": (str, _MAYBE),
    **dict.fromkeys(("protocol", "leak"), str),
    "fold": int,
    ...: object,
  },
  ...: object,
}
SPLIT = {
  "n": int,
  "missing": int,
  "sha256": (str, _MAYBE),
  "clusters": int,
  "known_artists": ({"tracks": int, "of": int}, _MAYBE),
  "segment": (_EMPTY, _LEVEL),
  "track": (_EMPTY, _LEVEL),
  "track_majority": (_EMPTY, _LEVEL),
  "hardest": [
    {
      "track": str,
      "genre": str,
      "predicted": str,
      "probability": float,
      "true_probability": float,
    }
  ],
  "reliability": _BINS,
}
SCHEMA = {
  "recipe": str,
  "corpus": str,
  "source": str,
  "protocol": str,
  "leak": (str, _MAYBE),
  "seed": int,
  "num_params": int,
  "commit": (str, _MAYBE),
  "versions": {...: str},
  "device": str,
  "config": _CONFIG,
  "data_fingerprint": str,
  "tracks": int,
  "skipped": [{"track": str, "reason": str}],
  "warnings": [{"check": str, "title": str, "text": str}],
  "best_epoch": (int, _MAYBE),
  "epochs_run": int,
  "seconds": float,
  "monitor": {"name": str, "value": (float, _MAYBE)},
  "external": _EXTERNAL,
  "gan": _GAN,
  "genres": [str],
  "headline": (str, _MAYBE),
  "splits": {config_ranges.FILE: SPLIT},  # predictions/<name>.npz
  "calibration": (
    {"fitted_on": str, **dict.fromkeys(calibration.LEVELS, _SCALED)},
    _MAYBE,
  ),
  "history": [{"epoch": int, "step": int, ...: (float, bool, str, _MAYBE)}],
  ...: object,
}
COMPUTED = ("genres", "headline", "splits", "calibration")
# "train_range" is a run.json's.
_OPTIONAL = (
  *("external", "gan", "train_range", "warnings"),
  *("config.members", "config.data", "config.eval", "config.eval.bootstrap"),
  *(f"config.data.{key}" for key in ("path", "protocol", "leak", "fold")),
)


def violations(value, spec=SCHEMA, path: str = "") -> Iterator[str]:
  """Where `value` departs from `spec`: "splits.test.n: str, int wanted"."""
  if isinstance(spec, tuple):
    tries = [list(violations(value, one, path)) for one in spec]
    if all(tries):
      yield from min(tries, key=len)  # the spec that was meant, most likely
  elif isinstance(spec, list | dict) and not isinstance(value, type(spec)):
    kinds = f"{type(value).__name__}, {type(spec).__name__} wanted"
    yield f"{path or 'all of it'}: {kinds}"
  elif isinstance(spec, list):
    for i, item in enumerate(value):
      yield from violations(item, spec[0], f"{path}[{i}]")
  elif isinstance(spec, dict):
    dot = f"{path}." if path else ""
    named = [key for key in spec if isinstance(key, str)]
    others = [key for key in spec if isinstance(key, config_ranges.Range)]
    for key in named:
      if key not in value and dot + key not in _OPTIONAL:
        yield f"{dot}{key}: absent"
    for key, item in value.items():
      specs = [spec[one] for one in others if one.holds(key)]
      if key in named or ... in spec or specs:
        inner = spec.get(key, spec.get(..., *specs))
        yield from violations(item, inner, dot + key)
      else:
        wanted = "".join(f", {one.accepted} is accepted" for one in others)
        yield f"{dot}{key}: unknown{wanted}"
  elif isinstance(spec, config_ranges.Range):
    if not spec.holds(value):
      yield f"{path}={config_ranges.brief(value)}: give {spec.accepted}"
  elif not _is(value, spec):
    yield f"{path}: {type(value).__name__}, {spec.__name__} wanted"


def read_json(
  path: pathlib.Path,
  spec: Mapping,
  verb: str,
  check: Callable[[Mapping], str] = lambda _: "",
) -> dict:
  """A JSON file of a verb, checked against `spec`; `check` returns what else is
  wrong, or "". InputError if it cannot be read or is damaged."""
  try:
    value = json.loads(path.read_text("utf-8"), parse_constant=_refuse)
    if problem := next(violations(value, spec), "") or check(value):
      raise ValueError(problem)
    return value
  except OSError as error:
    raise InputError(
      f"{path} cannot be read: {error.strerror}; launch.py {verb} writes it"
    ) from error
  except (ValueError, RecursionError) as error:
    raise InputError(
      f"{path} is damaged: {error}; the same launch.py {verb} writes it anew"
    ) from error


def _refuse(constant: str):
  raise ValueError(f"{constant} is no number")


def _is(value, kind: type) -> bool:
  """An integer passes as a float, as in JSON; a bool as neither."""
  if isinstance(value, bool):
    return kind in (bool, object)
  return isinstance(value, (int, float) if kind is float else kind)
