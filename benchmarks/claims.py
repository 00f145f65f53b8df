"""The tables of claims.md, from the runs of configs/sweeps/claims.py.

  python benchmarks/claims.py results/claims > results/claims/claims.md

The folds of a variant are pooled, so that each track is tested once. A claim
that one variant is better is supported where the 95 % interval of the
difference (a bootstrap over artists) lies a point or more above zero,
contradicted as far below, else inconclusive. Two variants on different lists of
tracks are compared on the common tracks. A prediction for a whole track is
compared with each segment's prediction of the other variant.
"""

import argparse
import collections
import dataclasses
import pathlib
import re
import statistics

import numpy as np

from gtzan_jax.errors import InputError
from gtzan_jax.inference import ensemble
from gtzan_jax.reports import stored_runs
from gtzan_jax.scores import alignment, bootstrap, paired_tests
from gtzan_jax.scores.predictions import Predictions
from gtzan_jax.studies.crossval import measure as crossval

SEEDS = 3
# A convention: what another seed changes for all artists alike is not in the
# interval of folds run with one seed each.
MARGIN = 0.01
RUN = re.compile(r"(.+)_(?:fold|seed)\d+")
# (claim of docs/claims.md, the better one by it, the other).
PAIRS = (
  ("CNN over dense", "image_cnn2_20_epochs", "fcn_20_epochs"),
  ("CNN over dense", "image_cnn_bn_filtered", "fcn_filtered"),
  ("LSTM best", "lstm_mfcc", "slice_cnn"),
  ("LSTM best", "lstm_mfcc", "fcn"),
  ("LSTM best", "lstm_mfcc", "image_cnn2_20_epochs"),
  ("Adam over RMSprop", "fcn", "fcn_rmsprop"),
  ("Adam over RMSprop", "slice_cnn", "slice_cnn_rmsprop"),
  ("Adam over RMSprop", "resnet", "resnet_rmsprop"),
  ("Adam over RMSprop", "cnn_gru", "cnn_gru_rmsprop"),
  ("overfits after 50 epochs", "fcn", "fcn_100_epochs"),
  ("overfits after 50 epochs", "slice_cnn", "slice_cnn_100_epochs"),
  ("ImageNet does not fit", "image_cnn2_20_epochs", "mobilenet_v2"),
  ("shortcuts needed", "resnet", "resnet_no_shortcuts"),
  ("slices help", "slice_cnn", "slice_cnn_whole_clips"),
  ("slices help", "slice_cnn_one_slice", "slice_cnn_whole_clips"),
  ("slices help", "slice_cnn", "image_cnn2_20_epochs"),
  ("networks over features", "resnet", "mlp"),
  ("networks over features", "resnet", "logreg_stats"),
  ("networks over features", "resnet", "svm_stats"),
  ("networks over features", "resnet", "logreg_logmel"),
  ("recurrence essential", "cnn_gru", "mel_cnn"),
  ("recurrence essential", "cnn_gru_filtered", "mel_cnn_filtered"),
  ("recurrence essential", "cnn_lstm", "mel_cnn"),
  ("recurrence essential", "cnn_gru", "logreg_logmel"),
  ("GRU over LSTM", "cnn_gru", "cnn_lstm"),
  ("no validation split helps", "cnn_gru_stopped_on_test", "cnn_gru_validated"),
  (
    "no validation split helps",
    "cnn_gru_stopped_on_test_matched",
    "cnn_gru_validated_matched",
  ),
  ("ensembles stabilise", "ensemble", "mel_cnn"),
  ("ensembles stabilise", "ensemble", "cnn_gru"),
  ("ensembles stabilise", "ensemble", "cnn_lstm"),
  ("BiLSTM best", "cnn_bilstm", "cnn_rnn"),
  ("BiLSTM best", "cnn_bilstm", "parallel_cnn"),
  ("Keras's epsilon", "resnet", "resnet_eps_torch"),
  ("Keras's epsilon", "cnn_bilstm", "cnn_bilstm_eps_torch"),
)
RESULTS = pathlib.Path(__file__).parents[1] / "results"
# Variants that the leakage meter of cnn_gru has run, with 2,340 train segments.
METER = RESULTS / "leak/cnn_gru-archive/runs"
OF_METER = {
  "cnn_gru_stopped_on_test_matched": "leaky_selection_80_20",
  "cnn_gru_validated_matched": "tracks_70_10_20",
}
# One run each of results/leaderboard, on validation, which also chose its
# checkpoint.
OF_RESULTS = ("image_cnn_bn", "fcn", "cnn_gru", "mel_cnn")
ONE_SLICE = "slice_cnn"  # counted by its slices as well
MEMBERS = ("mel_cnn", "cnn_gru", "cnn_lstm")
NETWORKS = (
  *("fcn", "image_cnn2_20_epochs", "lstm_mfcc", "slice_cnn", "resnet"),
  *(*MEMBERS, "parallel_cnn", "cnn_rnn", "cnn_bilstm"),
)
# Trained for all 100 epochs.
TO_THE_END = ("fcn_100_epochs", "slice_cnn_100_epochs")

TITLE = """# Claims: tables

Pairs, variants and genres behind the verdicts of docs/claims.md. Accuracy of
tracks by mean probability, ± the standard deviation over runs; differences in
points."""

Variants = dict[str, list[dict]]  # the reports of each variant, by fold
Tables = dict[str, list[Predictions]]  # and what it said of the test tracks


def load(folder: pathlib.Path) -> tuple[Variants, Tables]:
  """What has ended of a folder, and the variants that are made of others."""
  variants, tables = collections.defaultdict(list), {}
  paths = [
    (match[1], path)
    for path in stored_runs.below(folder)
    if (match := RUN.fullmatch(path.name))
  ]
  if not paths:
    raise InputError(f"{folder} holds no run that has ended")
  paths += [
    (name, METER / f"{protocol}-seed{seed}")
    for name, protocol in OF_METER.items()
    for seed in range(SEEDS)
  ]
  for name, path in paths:
    variants[name].append(stored_runs.read(path))
    table = stored_runs.table(path, "test")
    tables.setdefault(name, []).append(table.by_track("mean"))
    if name == ONE_SLICE:
      tables.setdefault(f"{name}_one_slice", []).append(table)
  for name in [name for name, runs in variants.items() if len(runs) < SEEDS]:
    del variants[name], tables[name]  # a sweep under way
    tables.pop(f"{name}_one_slice", None)
  for name in OF_RESULTS:
    path = RESULTS / f"leaderboard/{name}-archive-filtered-seed0"
    table = stored_runs.table(path, "validation")
    tables[f"{name}_filtered"] = [table.by_track("mean")]
  if tables.keys() >= set(MEMBERS):
    members = zip(*(tables[member] for member in MEMBERS), strict=True)
    tables["ensemble"] = [ensemble.combine(fold) for fold in members]
  return dict(variants), tables


def paired(a: list[Predictions], b: list[Predictions]) -> dict:
  """Seeds on the same tracks by `compare_many`, folds as one table each."""
  if len(a) > 1 and set(a[0].track) == set(a[1].track):
    return paired_tests.compare_many(a, b)
  one, other = crossval.pool(a), crossval.pool(b)
  if len(one) > len(set(one.track.tolist())):
    other = for_each(one, other)
  found = paired_tests.compare(
    one.select(np.isin(one.track, other.track)),
    other.select(np.isin(other.track, one.track)),
  )
  return {**found, "n": len(np.intersect1d(one.track, other.track))}


def for_each(slices: Predictions, whole: Predictions) -> Predictions:
  """The answers to whole tracks, as if given to each of their slices."""
  place = {track: i for i, track in enumerate(whole.track.tolist())}
  at = [place[track] for track in slices.track.tolist()]
  return dataclasses.replace(slices, probabilities=whole.probabilities[at])


def spread(values, form: str = ".1%") -> str:
  values = list(values)
  text = f"{statistics.fmean(values):{form}} (n=1)"
  if len(values) > 1:
    text = text.replace("(n=1)", f"± {statistics.stdev(values):{form}}")
  return text.replace("%", "")


def verdict(ci95: list[float]) -> str:
  if ci95[0] >= MARGIN:
    return "supported"
  return "contradicted" if ci95[1] <= -MARGIN else "inconclusive"


def pair_table(tables: Tables) -> list[str]:
  lines = [
    "| claim | claimed better | % | compared with | % | difference |"
    " 95 % interval | tracks | verdict |",
    "|---|---|---|---|---|---|---|---|---|",
  ]
  for claim, a, b in PAIRS:
    if not {a, b} <= tables.keys():
      continue
    found = paired(tables[a], tables[b])
    low, high = (100 * bound for bound in found["ci95"])
    scores = [
      spread(float(one.correct.mean()) for one in tables[name])
      for name in (a, b)
    ]
    lines.append(
      f"| {claim} | `{a}` | {scores[0]} | `{b}` | {scores[1]} |"
      f" {100 * found['difference']:+z.1f} | {low:+z.1f} to {high:+z.1f} |"
      f" {found['n']} | {verdict(found['ci95'])} |"
    )
  return lines


def variant_table(variants: Variants) -> list[str]:
  """What it takes: epochs to the best, and how far train runs ahead."""
  lines = [
    "| variant | parameters | epochs to the best | train, % | validation, % |"
    " test, % |",
    "|---|---|---|---|---|---|",
  ]
  for name, runs in variants.items():
    epochs = [run["best_epoch"] for run in runs]
    scores = [
      spread(run["splits"][part]["track"]["accuracy"] for run in runs)
      for part in ("train", "validation", "test")
    ]
    lines.append(
      f"| `{name}` | {runs[0]['num_params']:,} |"
      f" {', '.join(map(str, epochs))} |"
      f" {' | '.join(scores)} |"
    )
  return lines


def length_table(variants: Variants) -> list[str]:
  """Overfitting: validation along the training, accuracy of tracks and loss."""
  lines = [
    "| variant | best of 50, % | at 50 | best of 100 | at 100 |"
    " lowest loss, nats | at 50 | at 100 |",
    "|---|---|---|---|---|---|---|---|",
  ]
  for name in TO_THE_END:
    if name in variants:
      runs = [run["history"] for run in variants[name]]
      right = [
        [row["validation/track_accuracy"] for row in run] for run in runs
      ]
      loss = [[row["validation/loss"] for row in run] for run in runs]
      cells = [
        spread(max(one[:50]) for one in right),
        spread(one[49] for one in right),
        spread(map(max, right)),
        spread(one[99] for one in right),
        spread(map(min, loss), ".2f"),
        spread((one[49] for one in loss), ".2f"),
        spread((one[99] for one in loss), ".2f"),
      ]
      lines.append(f"| `{name}` | {' | '.join(cells)} |")
  return lines


def genre_table(tables: Tables) -> list[str]:
  """Recall by genre, the mean over networks."""
  networks = [
    crossval.pool(tables[name]) for name in NETWORKS if name in tables
  ]
  if not networks:
    return []
  first = networks[0]
  clusters, rows = first.clusters, []
  all_correct = np.array(
    [t.correct[alignment.places(first, t)] for t in networks]
  )
  for g, genre in enumerate(first.genres):
    here = first.label == g
    right = all_correct[:, here]
    low, high = bootstrap.interval(
      clusters[here], right.mean(0), resamples=paired_tests.RESAMPLES
    )
    each = right.mean(1)
    artists = len(np.unique(clusters[here]))
    rows.append(
      (right.mean(), genre, artists, low, high, each.min(), each.max())
    )
  return [
    f"| genre | artists | recall, mean of {len(networks)} networks |"
    " 95 % interval | lowest | highest |",
    "|---|---|---|---|---|---|",
    *(
      f"| {genre} | {artists} | {100 * mean:.1f} |"
      f" {100 * low:.1f} to {100 * high:.1f} |"
      f" {100 * least:.1f} | {100 * most:.1f} |"
      for mean, genre, artists, low, high, least, most in sorted(
        rows, reverse=True
      )
    ),
  ]


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("folder", type=pathlib.Path)
  folder = parser.parse_args().folder
  try:
    variants, tables = load(folder)
    parts = (
      pair_table(tables),
      variant_table(variants),
      length_table(variants),
      genre_table(tables),
    )
  except InputError as error:
    parser.error(str(error))
  tables = ("\n".join(part) for part in parts if part)
  print("\n\n".join([TITLE, *tables]))


if __name__ == "__main__":
  main()
