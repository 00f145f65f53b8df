"""The leaderboard: every recipe for a log-mel archive (or audio).

  python launch.py sweep --sweep=configs/sweeps/leaderboard.py \\
    --config.data.path=/path/to/gtzan_logmel.npz

Three seeds of each recipe under the protocol filtered; of those that take more
than 20 minutes a run one (n=1 in the leaderboard). Then each recipe whose
source says how it split, once under that protocol. The shortest come first; the
same command continues after a stop.

On the log-mel archive (442 train tracks), two CPU cores, by the seconds in
results: the honest runs 7.5 hours, those under the sources' protocols
about 4.5 (4 of them the four convolutional networks on pictures): 12 in all.
Recipes that need audio or a table are in leaderboard_audio.py.

mobilenet_v2 needs trained weights (docs/weights.md): put them beside the runs,
as mobilenet_v2_imagenet.npz in runs/sweeps/leaderboard or what --out names.
"""

from gtzan_jax.reports.published_scores import PUBLISHED
from gtzan_jax.studies.sweep.run import Run

FITTED = ("majority", "logreg_stats", "svm_stats", "logreg_logmel")
SHORT = (
  *("slice_cnn", "resnet", "cnn_gru", "mobilenet_v2", "fcn"),
  *("parallel_cnn", "cnn_lstm", "mel_cnn", "transformer"),
)
LONG = (
  *("cnn_rnn", "cnn_bilstm"),
  *("image_cnn", "image_cnn_bn", "image_cnn2", "image_cnn_bn_rmsprop"),
)
SEEDS = range(3)
WEIGHTS = {
  "mobilenet_v2": {"train.init_from": "{out}/mobilenet_v2_imagenet.npz"}
}


def run(recipe: str, protocol: str, seed: int) -> Run:
  return Run(
    f"{recipe}-{protocol}-seed{seed}",
    {"data.protocol": protocol, "seed": seed, **WEIGHTS.get(recipe, {})},
    f"configs/{recipe}.py",
  )


def own(recipes) -> list[Run]:
  """One run of each under its source's own protocol, where that is known."""
  return [
    run(recipe, PUBLISHED[recipe].protocol, 0)
    for recipe in recipes
    if recipe in PUBLISHED and PUBLISHED[recipe].protocol
  ]


def get_sweep():
  return [
    *(run(recipe, "filtered", 0) for recipe in FITTED),
    *(run(recipe, "filtered", seed) for recipe in SHORT for seed in SEEDS),
    *own(SHORT),
    *(run(recipe, "filtered", 0) for recipe in LONG),
    *own(LONG),
  ]
