"""report.json and the files drawn from it.

`build` makes the report, checked against SCHEMA; `write` puts it into the run
folder with predictions, pictures and page. The same input gives the same bytes;
of all values only `seconds` may differ.
"""

import concurrent.futures
import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from gtzan_jax import atomic, config_ranges, errors
from gtzan_jax.reports import schema
from gtzan_jax.scores import bootstrap, calibration, metrics
from gtzan_jax.scores.predictions import Predictions

REPORT_FILE = "report.json"
EXPLAINED = "explain"  # a folder with explain.json and its pictures
SPLITS = ("train", "validation", "test")

LEAKS = "This protocol leaks: do not quote these numbers as results."

# What `write` leaves in a folder, but for its hidden files.
_FILES = re.compile(
  r"report\.(json|html)|predictions|learning_curves\.png"
  r"|(confusion|per_genre)_.+\.png"
)

# What a report shows of explain.json, which may be a stranger's.
_EXPLAIN: dict = {
  "best_epoch": (int, type(None)),
  "items": [
    {
      **dict.fromkeys(("name", "where", "predicted"), str),
      "picture": config_ranges.FILE,
      ...: object,
    }
  ],
  ...: object,
}


def build(
  run: Mapping,
  predictions: Mapping[str, Predictions],
  history: list[Mapping],
  missing: Mapping[str, int],
  sha256: Mapping[str, str],
  tracks: Mapping[str, int] = {},
  resamples: int = bootstrap.RESAMPLES,
  known_artists: Mapping[str, Mapping | None] = {},
) -> dict:
  """The report as plain values (NaN is None). `run` has every key of SCHEMA but
  COMPUTED and history; `missing` counts listed tracks absent from the corpus,
  `sha256` is of the sorted track ids, `tracks` counts those of a split that was
  not scored whole, `resamples` is for bootstrap intervals, `known_artists` has
  the counts of splits where the train predictions are not at hand. ValueError
  for a key that is absent or of another type."""
  named = {*predictions, *missing, *sha256, *tracks}
  train, splits = predictions.get("train"), {}
  for name in (*SPLITS, *sorted(named - {*SPLITS})):
    if name in named:
      table = predictions.get(name)
      split = {
        **scored(table, tracks.get(name), resamples),
        "missing": missing.get(name, 0),
        "sha256": sha256.get(name),
        "known_artists": metrics.known_artists(table, train)
        if table and train and name != "train"
        else known_artists.get(name),
      }
      splits[name] = {key: split[key] for key in schema.SPLIT}
  first = next(iter(predictions.values()), None)
  headline = _headline(splits)
  computed = {
    "genres": first.genres if first else (),
    "headline": headline,
    "splits": splits,
    "calibration": calibration.calibrate(predictions, headline),
    "history": [
      {k: v for k, v in row.items() if not k.startswith("time/")}
      for row in history
    ],
  }
  keys = schema.SCHEMA
  known = {k: run[k] for k in keys if k in run and k not in computed}
  others = {k: v for k, v in run.items() if k not in keys}
  report = _plain({**known, **computed, **others})
  if problems := list(schema.violations(report)):
    raise ValueError(f"report: {'; '.join(problems)}")
  return report


def read(path: str | os.PathLike) -> dict:
  """A report.json, checked; InputError if damaged or not as SCHEMA requires."""
  value = schema.read_json(pathlib.Path(path), {...: object}, "evaluate")
  if problem := next(schema.violations(value), None) or _unscored(value):
    raise errors.InputError(
      f"{path} is no report of this version: {problem}; run launch.py evaluate"
      " again"
    )
  return value


def trained_on(report: Mapping) -> str:
  """Fingerprint of the training data, whatever the run was tested on."""
  if "external" in report:
    return report["external"]["trained_on"]
  return report["data_fingerprint"]


def check_out(out: pathlib.Path, run: Mapping) -> None:
  """InputError unless the folder is new, empty, or has (part of) a report of
  the same runs on the same data."""
  if out.exists() and not out.is_dir():
    raise errors.InputError(f"--out={out} is a file: give a folder")
  held = sorted(file.name for file in out.iterdir()) if out.is_dir() else []
  for name in held:
    if not name.startswith(".") and not _FILES.fullmatch(name):
      raise errors.InputError(
        f"--out={out} contains other files, such as {name}: give a new folder"
      )
  if REPORT_FILE not in held:
    return
  try:
    before = read(out / REPORT_FILE)
  except errors.InputError:
    before = {}
  if _identity(before) != _identity(run):
    raise errors.InputError(
      f"--out={out} contains the report of other runs or of other music: give"
      " another folder"
    )


def _identity(run: Mapping) -> list:
  tested = run.get("external", {}).get("workdir")
  return _plain([run.get("config"), run.get("data_fingerprint"), tested])


def _unscored(value: Mapping) -> str | None:
  """What SCHEMA cannot express: the headline must name a scored split."""
  name = value["headline"]
  split = value["splits"].get(name)
  if name is None or (
    split and all("accuracy" in split[level] for level in ("track", "segment"))
  ):
    return None
  return f"headline: {name!r} was not scored"


class Pictures:
  """The PNGs beside a page, which can be drawn before the report is whole."""

  def __init__(self) -> None:
    self.drawn: dict[str, Any] = {}  # Figures
    # One: a picture takes longer to draw than to pack, and 50 MB to pack.
    self._packing = concurrent.futures.ThreadPoolExecutor(1)
    self._packed: dict[str, concurrent.futures.Future[bytes]] = {}

  def draw(self, report: Mapping, content=None) -> None:
    """Draws those of a report, or of a part of one, that are not drawn yet;
    the arguments are those of page.pictures."""
    from gtzan_jax.reports import page, plot_style

    for name, draw in page.pictures(report, content):
      if name not in self.drawn:
        self.drawn[name] = draw()
        self._packed[name] = self._packing.submit(
          plot_style.packed, plot_style.pixels(self.drawn[name])
        )

  def files(self) -> dict[str, bytes]:
    """{name: PNG} of those drawn."""
    self._packing.shutdown()
    return {name: packed.result() for name, packed in self._packed.items()}


def write(
  workdir: str | os.PathLike,
  report: Mapping,
  predictions: Mapping[str, Predictions],
  content=None,
  pictures: Pictures | None = None,
) -> pathlib.Path:
  """Writes predictions, pictures, report.html and, last, report.json; removes
  old files of splits and sounds that are absent now. Returns the path of
  report.html. `content` is a page.Content, for a task that is no classifier;
  `pictures` has those of this report that were drawn before."""
  from gtzan_jax.reports import page  # matplotlib, which `read` spares

  workdir = pathlib.Path(workdir)
  tables = {
    workdir / "predictions" / f"{name}.npz": predictions[name]
    for name, split in report["splits"].items()
    if split["track"]["n"]
  }
  (workdir / "predictions").mkdir(parents=True, exist_ok=True)
  for path, table in tables.items():
    table.save(path)
  pictures = pictures or Pictures()
  pictures.draw(report, content)
  text = page.render(
    report, content, _explained(workdir, report), pictures.drawn
  )
  files = {workdir / name: data for name, data in pictures.files().items()}
  for name, data in content.files.items() if content else ():
    files[workdir / name] = data
  before = [workdir / "samples.png", *workdir.glob("samples/*_[0-9].wav")]
  for name in {*SPLITS, *report["splits"]}:
    before += [workdir / f"{kind}_{name}.png" for kind in page.OF_SPLIT]
    before.append(workdir / "predictions" / f"{name}.npz")
  for path in {*before} - files.keys() - tables.keys():
    path.unlink(missing_ok=True)
  for path, data in files.items():
    path.parent.mkdir(exist_ok=True)
    atomic.write(path, data)
  atomic.write(workdir / "report.html", text)
  save(workdir / REPORT_FILE, report)
  return workdir / "report.html"


def redraw(workdir: pathlib.Path) -> None:
  """Redraws a classifier's report.html, with explain.json."""
  from gtzan_jax.reports import page

  report = read(workdir / REPORT_FILE)
  text = page.render(report, explained=_explained(workdir, report))
  atomic.write(workdir / "report.html", text)


def save(path: str | os.PathLike, report: Mapping) -> None:
  """Writes report.json alone, atomically."""
  atomic.write_json(path, report)


def scored(
  predictions: Predictions | None,
  tracks: int | None = None,
  resamples: int = bootstrap.RESAMPLES,
) -> dict:
  """A split's part of the report, all but `missing` and `sha256`; without
  predictions it was not scored. For `tracks` see `build`."""
  if predictions is None or not len(predictions):
    return {
      "n": tracks or 0,
      "clusters": 0,
      "segment": {"n": 0},
      "track": {"n": 0},
      "track_majority": {"n": 0},
      "hardest": [],
      "reliability": [],
    }
  levels = metrics.evaluate(predictions, resamples=resamples)
  by_track = predictions.by_track("mean")
  return {
    "n": levels["track"]["n"] if tracks is None else tracks,
    "clusters": predictions.n_clusters,
    **levels,
    "hardest": metrics.hardest(predictions),
    "reliability": calibration.reliability(
      by_track.probabilities, by_track.correct
    ),
  }


def _headline(splits: dict) -> str | None:
  """The split whose numbers stand for the run: test, else validation."""
  order = [name for name in ("test", "validation") if name in splits]
  return next((name for name in order if splits[name]["track"]["n"]), None)


def _plain(value):
  """JSON values; NaN and infinities are None. ValueError for other types."""
  if isinstance(value, np.generic | np.ndarray):
    value = value.tolist()
  if isinstance(value, Mapping):
    return {str(key): _plain(item) for key, item in value.items()}
  if isinstance(value, list | tuple):
    return [_plain(item) for item in value]
  if isinstance(value, float):
    return float(value) if np.isfinite(value) else None
  if value is None or isinstance(value, bool | int | str):
    return value
  raise ValueError(f"report: {value!r} is no JSON value, {type(value)}")


def _explained(
  workdir: pathlib.Path, report: Mapping
) -> list[tuple[dict, bytes]]:
  """(entry of explain.json, its picture), if of the same parameters."""
  folder = workdir / EXPLAINED
  file = folder / "explain.json"
  if not file.is_file():
    return []
  stored = schema.read_json(file, _EXPLAIN, "explain")
  if stored["best_epoch"] != report["best_epoch"]:
    return []
  shown = []
  for one in stored["items"]:
    picture = folder / one["picture"]
    if picture.resolve().parent != folder.resolve() or not picture.is_file():
      raise errors.InputError(
        f"{file}: {one['picture']} is no file in its folder; launch.py explain"
        " writes it anew"
      )
    shown.append((one, picture.read_bytes()))
  return shown
