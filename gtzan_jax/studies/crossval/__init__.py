"""Cross-validation over the folds of a protocol."""
