"""The transformer: attention, positions, stochastic depth."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from gtzan_jax.models.transformer import (
  Attention,
  Block,
  Transformer,
  positions,
)


def test_attention_by_hand():
  """Softmax of q k / sqrt(width of a head) in each head, over all tokens."""
  rng = np.random.default_rng(0)
  x = rng.normal(size=(2, 5, 6)).astype("f4")
  attention = Attention(heads=2)
  variables = jax.jit(attention.init)(jax.random.key(0), x)
  weights = {k: v["kernel"] for k, v in variables["params"].items()}
  assert set(weights) == {"query", "key", "value", "out"}
  heads = []
  for head in (slice(0, 3), slice(3, 6)):
    q, k, v = (x @ weights[n][:, head] for n in ("query", "key", "value"))
    scores = np.exp(q @ np.swapaxes(k, 1, 2) / math.sqrt(3))
    heads.append(scores / scores.sum(-1, keepdims=True) @ v)
  expected = np.concatenate(heads, axis=-1) @ weights["out"]
  y = jax.jit(attention.apply)(variables, x)
  np.testing.assert_allclose(y, expected, atol=1e-5)


def test_positions_are_sines_and_cosines_of_falling_rate():
  table = positions(300, 8)
  assert table.shape == (300, 8)
  np.testing.assert_allclose(table[0], [0, 0, 0, 0, 1, 1, 1, 1])
  np.testing.assert_allclose(table[7, [0, 4]], [np.sin(7), np.cos(7)])
  np.testing.assert_allclose(table[7, [3, 7]], [np.sin(7e-4), np.cos(7e-4)])
  # The same table, only longer: a short example is the beginning of a long one.
  np.testing.assert_array_equal(positions(20, 8), table[:20])
  nearest = np.abs(table[:, None] - table[None]).sum(-1) + np.eye(300) * 9
  assert nearest.min() > 1e-3, "two places look alike"


@pytest.mark.slow
def test_the_order_of_frames_counts_through_their_positions():
  """In a model whose stem sees one frame at a time."""
  model = Transformer(4, width=8, depth=1, heads=2, stride=1)
  x = jax.random.normal(jax.random.key(1), (3, 12, 5))
  variables = jax.jit(partial(model.init, train=False))(jax.random.key(0), x)
  for layer in ("stem0", "stem1"):
    kernel = variables["params"][layer]["kernel"]
    middle = jnp.zeros_like(kernel).at[1].set(kernel[1])
    variables["params"][layer]["kernel"] = middle
  apply = jax.jit(lambda x: model.apply(variables, x, train=False))
  shuffled = x[:, np.random.default_rng(0).permutation(12)]
  assert np.abs(apply(shuffled) - apply(x)).max() > 1e-2


def calls(kind, frames=258, **options):
  """The modules of `kind` that are called in training, with their input."""
  model, seen = Transformer(4, width=8, heads=2, **options), []

  def record(run, args, kwargs, context):
    if isinstance(context.module, kind):
      seen.append((context.module, args[0].shape))
    return run(*args, **kwargs)

  keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
  with nn.intercept_methods(record):
    x = jnp.zeros((2, frames, 5))
    jax.eval_shape(partial(model.init, train=True), keys, x)
  return seen


@pytest.mark.parametrize(("stride", "tokens"), [(1, 258), (2, 129), (4, 65)])
def test_a_token_is_a_stride_of_frames(stride, tokens):
  ((_, shape),) = calls(Attention, depth=1, stride=stride)
  assert shape == (2, tokens, 8)


def test_dropout_everywhere_and_stochastic_depth_growing_to_the_last_block():
  modules = calls(nn.Dropout, depth=2, dropout=0.3, drop_path=0.2)
  each, whole = (0.3, ()), (1, 2)
  assert [(module.rate, module.broadcast_dims) for module, _ in modules] == [
    each,
    *2 * [each, (0.1, whole)],
    *2 * [each, (0.2, whole)],
    each,
  ]


@pytest.mark.slow
def test_stochastic_depth_leaves_out_whole_terms_of_single_examples():
  """Each example has both terms, one or none, doubled at a share of 0.5."""
  block = Block(heads=2, dropout=0.0, drop_path=0.5)
  x = jax.random.normal(jax.random.key(1), (1, 5, 8))
  variables = jax.jit(partial(block.init, train=False))(jax.random.key(0), x)
  # The second term as a constant: it would else depend on the first.
  feed = variables["params"]["feed_in"]
  feed.update(kernel=feed["kernel"] * 0, bias=feed["bias"] + 1)

  @jax.jit
  def changes(x, key):
    many = jnp.repeat(x, 400, axis=0)
    trained = block.apply(variables, many, train=True, rngs={"dropout": key})
    return trained - many, block.apply(variables, x, train=False) - x

  trained, plain = changes(x, jax.random.key(2))
  kinds, counts = np.unique(
    np.round(trained, 4).reshape(400, -1), axis=0, return_counts=True
  )
  assert len(kinds) == 4
  assert (np.abs(kinds).max(1) < 1e-3).sum() == 1, "none keeps both out"
  np.testing.assert_allclose(kinds.sum(0), 4 * plain.ravel(), atol=1e-3)
  assert (np.abs(counts - 100) < 45).all()
