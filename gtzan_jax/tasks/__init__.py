"""What is trained: each task is a few pure functions on pytrees."""

from gtzan_jax.tasks import classify

TASKS = {"classify": classify.create}
