"""The claims of the source projects, each as a pair of runs without leakage.

  python launch.py sweep --sweep=configs/sweeps/claims.py --out=runs/claims \\
    --config.data.path=/path/to/gtzan_logmel.npz
  python benchmarks/claims.py runs/claims

Three folds by artist: run k tests fold k with seed k, validation (the next
fold) chooses its checkpoint, and the third fold trains. Each track is tested
once, by a model not trained on its artist. docs/claims.md has the result.
"""

from gtzan_jax.studies.sweep.run import Run

SEEDS = range(3)
HONEST = "artist_kfold"
TWENTY = {"train.epochs": 20}  # pictures take minutes an epoch
RMSPROP = {"optim.name": "rmsprop"}
# The effect of Keras's epsilon on recipes from Keras sources.
EPS_TORCH = {"optim.eps": 1e-8, "optim.eps_rule": "torch"}
# {variant: (recipe, what differs from it)}, the quick ones first.
VARIANTS = {
  "logreg_stats": ("logreg_stats", {}),
  "svm_stats": ("svm_stats", {}),
  "logreg_logmel": ("logreg_logmel", {}),
  "slice_cnn": ("slice_cnn", {}),
  "slice_cnn_rmsprop": ("slice_cnn", RMSPROP),
  "slice_cnn_100_epochs": ("slice_cnn", {"train.epochs": 100}),
  "slice_cnn_whole_clips": ("slice_cnn", {"data.features": "mfcc_clip"}),
  "lstm_mfcc": ("lstm_standardised", {"data.features": "mfcc"}),
  "resnet": ("resnet", {}),
  "resnet_eps_torch": ("resnet", EPS_TORCH),
  "resnet_rmsprop": ("resnet", RMSPROP),
  "resnet_no_shortcuts": ("resnet", {"model.shortcuts": False}),
  "cnn_gru": ("cnn_gru", {}),
  "cnn_gru_rmsprop": ("cnn_gru", RMSPROP),
  "cnn_lstm": ("cnn_lstm", {}),
  "mel_cnn": ("mel_cnn", {}),
  "fcn": ("fcn", {}),
  "fcn_rmsprop": ("fcn", RMSPROP),
  "fcn_100_epochs": ("fcn", {"train.epochs": 100}),
  "fcn_20_epochs": ("fcn", TWENTY),
  "parallel_cnn": ("parallel_cnn", {}),
  "image_cnn2_20_epochs": ("image_cnn2", TWENTY),
  "cnn_bilstm": ("cnn_bilstm", {}),
  "cnn_bilstm_eps_torch": ("cnn_bilstm", EPS_TORCH),
  "cnn_rnn": ("cnn_rnn", {}),
}
# The CNN-GRU project stops on what it reports: the same test tracks, with a
# validation split (10 %, train has 70) and without (train has 80). With as many
# train segments, so that the choice alone differs, the leakage meter has both.
SELECTION = {
  "cnn_gru_validated": {"data.protocol": "tracks_80_20"},
  "cnn_gru_stopped_on_test": {"data.protocol": "leaky_selection_80_20"},
}


def get_sweep():
  folds = [
    Run(
      f"{name}_fold{k}",
      {"data.protocol": HONEST, "data.fold": k, "seed": k, **changed},
      f"configs/{recipe}.py",
    )
    for name, (recipe, changed) in VARIANTS.items()
    for k in SEEDS
  ]
  selection = [
    Run(
      f"{name}_seed{k}",
      {**changed, "seed": k},
      "configs/cnn_gru.py",
    )
    for name, changed in SELECTION.items()
    for k in SEEDS
  ]
  return folds + selection
