"""The GANs: what each promises, its counts, and gradients that R1 needs."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gtzan_jax.errors import InputError
from gtzan_jax.features import stft
from gtzan_jax.gan import networks as gans
from gtzan_jax.gan.networks import grids, waveform_conv

SMALL_CONV = {"channels": (4, 6), "critic_channels": (4, 6)}
# Each GAN small, on examples of odd sizes.
SMALL = {
  "cgan_dense": ((9, 4), {"hidden": (8, 9), "critic_hidden": (7, 6)}),
  "cgan_conv": ((23, 13), SMALL_CONV),
  "cgan_waveform_conv": ((1201,), SMALL_CONV),
}
LABEL = jnp.array([0, 2, 1], jnp.int32)


def shapes(name, classes, shape, **options):
  """Both networks of a GAN, and the shapes of their variables."""
  generator, discriminator, view = gans.create(name, classes, shape, **options)
  key, label = jax.random.key(0), jnp.zeros(1, jnp.int32)
  noise, real = jnp.zeros((1, generator.noise)), jnp.zeros((1, *shape))
  return (generator, discriminator, view), (
    jax.eval_shape(generator.init, key, noise, label),
    jax.eval_shape(
      lambda key, x: discriminator.init(key, view(x), label), key, real
    ),
  )


@functools.cache
def networks(name):
  """Both networks of a small GAN, random variables, noise, real examples."""
  shape, options = SMALL[name]
  (generator, discriminator, view), variables = shapes(
    name, 3, shape, noise=5, **options
  )
  rng = np.random.default_rng(0)

  def values(leaf):
    deviation = 1 / math.sqrt(max(1, math.prod(leaf.shape[:-1])))
    return jnp.asarray(rng.normal(0, deviation, leaf.shape), jnp.float32)

  noise, real = (
    jnp.asarray(rng.normal(0, scale, (3, *size)), jnp.float32)
    for scale, size in ((1, (generator.noise,)), (0.1, shape))
  )
  made, judged = jax.tree.map(values, variables)

  @jax.jit
  def score(variables, x, label):
    return discriminator.apply(variables, view(x), label)

  return jax.jit(generator.apply), made, score, judged, noise, real


def sides(name):
  """(function, variables, input) of the generator, of the discriminator."""
  generate, made, score, judged, noise, real = networks(name)
  return (generate, made, noise), (score, judged, real)


def count(name, shape, **options):
  """Parameters of the generator and of the discriminator at ten genres."""
  _, variables = shapes(name, 10, shape, **options)
  return tuple(
    sum(leaf.size for leaf in jax.tree.leaves(tree)) for tree in variables
  )


def test_the_sources_counts():
  """110-512-1024-2048-n and (n + 10)-1024-512-1, two embeddings of 10 x 10."""
  waveform = count("cgan_dense", (66_000,))
  assert waveform == (137_915_444, 68_120_677)
  assert sum(waveform) == 206_036_121
  n = 61 * 33
  assert count("cgan_dense", (61, 33), output="linear") == (
    100 + 111 * 512 + 513 * 1024 + 1025 * 2048 + 2049 * n,
    100 + (n + 11) * 1024 + 1025 * 512 + 513,
  )


@pytest.mark.slow
def test_convolutional_gans_are_small():
  for shape in ((258, 128), (61, 33)):
    assert sum(count("cgan_conv", shape)) < 2.5e6
  assert sum(count("cgan_waveform_conv", (66_000,))) < 5e6


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(gans.GANS))
def test_contract(name):
  generate, made, score, judged, noise, real = networks(name)
  assert set(made) == set(judged) == {"params"}
  x = generate(made, noise, LABEL)
  scores = score(judged, x, LABEL)
  assert x.shape == real.shape
  assert scores.shape == (3,)
  for value in (x, scores):
    assert value.dtype == jnp.float32
    assert np.isfinite(value).all()
    assert np.std(value) > 1e-4
  for apply, variables, given in sides(name):
    of = functools.partial(apply, variables)
    wide = jax.eval_shape(of, given, LABEL)
    narrow = jax.eval_shape(of, given.astype(jnp.bfloat16), LABEL)
    assert (narrow.shape, narrow.dtype) == (wide.shape, wide.dtype)
    each = jax.eval_shape(jax.vmap(of), given[:, None], LABEL[:, None])
    assert each.shape == (3, 1, *wide.shape[1:])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(gans.GANS))
def test_an_example_depends_on_itself_alone_and_on_its_genre(name):
  for apply, variables, x in sides(name):
    value = apply(variables, x, LABEL)
    # The first two examples stay, the third one is another of another genre.
    others = apply(variables, x.at[2].multiply(-3), LABEL.at[2].set(2))
    np.testing.assert_allclose(others[:2], value[:2], rtol=1e-4, atol=1e-5)
    assert np.abs(others[2] - value[2]).max() > 1e-4
    genre = apply(variables, x, (LABEL + 1) % 3)
    assert (np.abs(genre - value).reshape(3, -1).max(axis=1) > 1e-4).all()
    again = apply(variables, x + 0.1, LABEL)
    assert (np.abs(again - value).reshape(3, -1).max(axis=1) > 1e-4).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(gans.GANS))
def test_every_parameter_learns_from_finite_gradients(name):
  """At silence too, and of R1, the gradient of a gradient."""
  generate, made, score, judged, noise, real = networks(name)

  def loss(made, judged, real):
    slope = jax.grad(lambda x: score(judged, x, LABEL).sum())(real)
    x = jnp.concatenate([real, generate(made, noise, LABEL)])
    scores = score(judged, x, jnp.concatenate([LABEL, LABEL]))
    return (slope**2).sum() + (scores * jnp.arange(1.0, 7.0)).sum()

  gradient = jax.jit(jax.grad(loss, (0, 1)))
  for path, leaf in jax.tree.leaves_with_path(gradient(made, judged, real)):
    assert np.isfinite(leaf).all(), path
    assert np.abs(leaf).max() > 0, path
  for leaf in jax.tree.leaves(gradient(made, judged, 0 * real)):
    assert np.isfinite(leaf).all()


@pytest.mark.slow
def test_outputs():
  noise = 100 * jnp.ones((2, 5))
  assert gans.create("cgan_dense", 2, (3, 2))[0].noise == 100
  for output, within in (("tanh", True), ("linear", False)):
    generator, *_ = gans.create(
      "cgan_dense", 2, (3, 2), noise=5, hidden=(8, 9), output=output
    )
    x, _ = generator.init_with_output(jax.random.key(0), noise, LABEL[:2] % 2)
    assert (np.abs(x).max() <= 1) == within
  generate, made, _, _, noise, _ = networks("cgan_waveform_conv")
  loud = jax.tree.map(lambda p: 9 * p, made)
  assert np.abs(generate(loud, noise, LABEL)).max() <= 1


def test_texture_is_local():
  """The last numbers of the noise change cells beside their own, no others."""
  generate, made, _, _, noise, _ = networks("cgan_conv")
  assert noise.shape == (3, 5 + 2 * 6 * 4)  # 23 x 13 are 6 x 4 cells
  value = generate(made, noise, LABEL)
  last = generate(made, noise.at[:, -2:].add(1), LABEL)
  changed = np.argwhere(np.abs(last - value).max(axis=0) > 0)
  assert changed.min(axis=0).tolist() == [16, 8]
  first = generate(made, noise.at[:, :5].add(1), LABEL)
  assert (np.abs(first - value).max(axis=0) > 0).all()


def test_grids_fold_and_unfold():
  """Any size, one side or two, nothing lost and nothing moved."""
  sizes = grids.shrinking((38, 128), 5, first=4)
  assert sizes == [(38, 128), (10, 32), (5, 16), (5, 8), (5, 4)]
  assert grids.shrinking((66_000,), 20, first=16)[-2:] == [(33,), (17,)]
  for sides, small in (((7, 6), (4, 3)), ((7, 6), (2, 6)), ((11,), (3,))):
    x = jnp.arange(2.0 * math.prod(sides) * 3).reshape(2, *sides, 3)
    folded = grids.fold(x, small)
    assert folded.shape[:-1] == (2, *small)
    np.testing.assert_array_equal(grids.unfold(folded, sides), x)
  corner = grids.fold(jnp.arange(16.0).reshape(1, 4, 4, 1), (2, 2))[0, 0, 1]
  np.testing.assert_array_equal(corner, [2, 3, 6, 7])


def test_synthesis_inverts_the_transform():
  """Magnitude and phase of a signal's windows give the signal back."""
  n_fft, hop = 64, 16
  audio = np.random.default_rng(0).normal(0, 0.2, (2, 480)).astype(np.float32)
  edge = n_fft - hop
  padded = jnp.pad(audio, ((0, 0), (edge, edge)))
  windows = stft.frame(padded, n_fft, hop, center=False)
  spectrum = jnp.fft.rfft(windows)
  back = waveform_conv.synthesize(
    jnp.log(jnp.abs(spectrum) + 1e-12), jnp.angle(spectrum)
  )
  np.testing.assert_allclose(back, audio, atol=1e-5)


@pytest.mark.slow
def test_log_mel_tells_silence_from_sound():
  time = np.arange(4096) / 22_050
  tone = np.sin(2 * np.pi * 440 * time).astype(np.float32)
  loud, quiet, silence = waveform_conv.log_mel(
    jnp.stack([tone, 1e-2 * tone, 0 * tone]), 22_050
  )
  band = int(loud.mean(0).argmax())
  difference = 3.5 * (loud - quiet)[4:-4, band]  # natural log of power
  np.testing.assert_allclose(difference, np.log(1e4), atol=0.1)
  np.testing.assert_allclose(silence, silence.max(), atol=1e-6)


@pytest.mark.parametrize(
  ("name", "shape", "options", "message"),
  [
    ("cgan", (9, 4), {}, "unknown GAN 'cgan'; there are cgan_conv"),
    ("cgan_conv", (9, 4), {"width": 3}, "no option 'width'.*critic_channels"),
    ("cgan_conv", (9, 4), {"noise": 0}, "=0: give a whole number from 1 .*100"),
    ("cgan_conv", (9, 4), {"channels": 8}, "channels=8: give 1 to 64 values"),
    ("cgan_dense", (9, 4), {"output": "relu"}, "'relu'; it takes tanh or lin"),
    ("cgan_dense", (9, 4), {"output": 3}, "output=3: give text .*'tanh'"),
    ("cgan_conv", (66_000,), {}, r"\[frames, bins\].*not \[66000\]"),
    ("cgan_conv", (5, 4), {}, r"above 5, not \[5, 4\]"),
    ("cgan_waveform_conv", (61, 33), {}, r"\[samples\].*not \[61, 33\]"),
    ("cgan_waveform_conv", (500,), {}, r"960 or more, not \[500\]"),
  ],
)
def test_mistakes_are_told_in_a_line(name, shape, options, message):
  with pytest.raises(InputError, match=message) as caught:
    gans.create(name, 10, shape, **options)
  assert "\n" not in str(caught.value)
