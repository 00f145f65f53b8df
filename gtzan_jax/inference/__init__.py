"""From a trained run to answers."""
