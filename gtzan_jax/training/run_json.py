"""The schema of run.json, but for its config and features (config_ranges)."""

import math
from collections.abc import Iterator
from typing import Any

from gtzan_jax import config_ranges
from gtzan_jax.reports import schema as report_schema

_IDS = [config_ranges.NAME]
_PAIR = config_ranges.maybe(
  config_ranges.several(config_ranges.real(-1e6, 1e6), 2, 2)
)
SCHEMA = {
  "recipe": config_ranges.NAME,
  "config": {...: object},
  "data_path": config_ranges.PATH,
  "data_files": dict.fromkeys(
    ("data.labels", "data.splits"), config_ranges.NAME
  ),
  "genres": config_ranges.several(config_ranges.NAME, 1, 10_000),
  "kind": config_ranges.text("audio", "logmel", "picture", "table"),
  "feature_spec": {...: object},
  "example_shape": config_ranges.several(config_ranges.whole(1, 10**6), 1, 3),
  "columns_per_frame": config_ranges.maybe(
    config_ranges.real(0, 100, above=True)
  ),
  "clip_seconds": config_ranges.real(0.1, 86_400),
  "train_range": dict.fromkeys(("seconds", "level"), _PAIR),
  "tracks": {"train": _IDS, "validation": _IDS},
  "data_fingerprint": config_ranges.NAME,
  "built_on": {
    ...: {
      "best_epoch": int,
      "best_value": (float, type(None)),
      "best_tie": (float, type(None)),
    }
  },
}
_MOST_NUMBERS = 2**27  # of one example: 512 MB


def problems(run: Any) -> Iterator[str]:
  """Where a run.json departs from SCHEMA or config_ranges, or contradicts
  itself."""
  found = list(report_schema.violations(run, SCHEMA))
  yield from found
  if found:
    return
  spec = run["feature_spec"]
  for problem in config_ranges.config_problems(
    config_ranges.flatten(run["config"])
  ):
    yield f"config.{problem}"
  for problem in config_ranges.spec_problems(spec):
    yield f"feature_spec.{problem}"
  shape, genres = run["example_shape"], run["genres"]
  if math.prod(shape) > _MOST_NUMBERS:
    yield f"example_shape={shape}: give at most {_MOST_NUMBERS} numbers in all"
  if len(set(genres)) < len(genres):
    yield f"genres={config_ranges.brief(genres)}: give each once"
  if run["kind"] not in spec["kinds"]:
    yield f"kind={run['kind']!r}: give one of feature_spec.kinds"
  if (run["kind"] == "logmel") != (run["columns_per_frame"] is not None):
    yield (
      f"columns_per_frame={run['columns_per_frame']} and kind={run['kind']!r}:"
      " give one for logmel, and for no other"
    )
