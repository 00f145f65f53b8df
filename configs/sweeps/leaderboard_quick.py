"""A leaderboard in half an hour, with fewer epochs.

  python launch.py sweep --sweep=configs/sweeps/leaderboard_quick.py \\
    --config.data.path=/path/to/gtzan_logmel.npz

The baselines and slice_cnn are complete; shortened recipes are named
<recipe>_quick in reports and leaderboard. Protocol filtered, one seed.

On the log-mel archive (442 train tracks) it took 22 minutes on two CPU cores,
preparing four feature sets included; results/leaderboard_quick has the result.
"""

from gtzan_jax.studies.sweep.run import Run

WHOLE = (
  *("majority", "logreg_stats", "svm_stats", "logreg_logmel"),
  "slice_cnn",
)
EPOCHS = {
  "resnet": 30,  # of 60
  "cnn_gru": 10,  # of 30
  "mel_cnn": 12,  # of 30
  "parallel_cnn": 15,  # of 50
  "cnn_lstm": 10,  # of 30
  "transformer": 15,  # of 60
  "cnn_rnn": 10,  # of 50
  "cnn_bilstm": 10,  # of 50
}
PROTOCOL = {"data.protocol": "filtered"}


def get_sweep():
  whole = [Run(name, PROTOCOL, f"configs/{name}.py") for name in WHOLE]
  return whole + [
    Run(
      f"{name}_quick",
      {**PROTOCOL, "recipe": f"{name}_quick", "train.epochs": epochs},
      f"configs/{name}.py",
    )
    for name, epochs in EPOCHS.items()
  ]
