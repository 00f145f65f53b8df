"""Training: the loop, tasks, optimizers, checkpoints and run folders."""
