"""Weights from other people's files: right numbers, clear refusals."""

import math
from functools import partial

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest
import safetensors.numpy
from flax import traverse_util

from gtzan_jax import models
from gtzan_jax.errors import InputError
from gtzan_jax.models import weights
from gtzan_jax.models.mobilenet import MobileNetV2
from gtzan_jax.models.weights import file_formats
from gtzan_jax.models.weights.mobilenet_v2 import UNITS

CLASSES = 3


def shapes(model, *example):
  x = jnp.zeros((1, *(example or (32, 32, 3))))
  return jax.eval_shape(partial(model.init, train=False), jax.random.key(0), x)


def flat(tree):
  return traverse_util.flatten_dict(dict(tree), sep="/")


def drawn(tree, seed=0):
  """Random values for these shapes; input_stats are the identity."""
  rng = np.random.default_rng(seed)

  def value(path, leaf):
    if path[0].key == "input_stats":
      return jnp.full(leaf.shape, float(path[-1].key == "std"))
    if path[-1].key in ("scale", "var"):
      return jnp.asarray(rng.uniform(0.5, 1.5, leaf.shape), jnp.float32)
    width = math.sqrt(2 / math.prod(leaf.shape[:-1])) if leaf.ndim > 1 else 0.2
    return jnp.asarray(rng.normal(0, width, leaf.shape), jnp.float32)

  return jax.tree.map_with_path(value, tree)


@pytest.fixture(scope="module")
def net():
  return drawn(shapes(MobileNetV2(CLASSES)))


def layers(net):
  """(kernel, scale, bias, mean, variance) of each layer, in order."""
  values = {name: np.asarray(value) for name, value in flat(net).items()}
  for unit in UNITS:
    yield (
      values[f"params/{unit}/conv/kernel"],
      values[f"params/{unit}/norm/scale"],
      values[f"params/{unit}/norm/bias"],
      values[f"batch_stats/{unit}/norm/mean"],
      values[f"batch_stats/{unit}/norm/var"],
    )


def head(net):
  return (np.asarray(net["params"]["head"][n]) for n in ("kernel", "bias"))


def keras_entries(net, top="predictions", depthwise="depthwise_kernel"):
  """{(layer, weight): array}, named as keras.applications' source does."""
  names = [("Conv1", "bn_Conv1")]
  for block in range(17):
    prefix = f"block_{block}_" if block else "expanded_conv_"
    for part in ("expand", "depthwise", "project")[0 if block else 1 :]:
      names.append((prefix + part, prefix + part + "_BN"))
  names.append(("Conv_1", "Conv_1_bn"))
  found = {}
  for (conv, norm), values in zip(names, layers(net), strict=True):
    kernel, gamma, beta, mean, variance = values
    if conv.endswith("depthwise"):
      found[conv, depthwise] = kernel.transpose(0, 1, 3, 2)
    else:
      found[conv, "kernel"] = kernel
    found[norm, "gamma"], found[norm, "beta"] = gamma, beta
    found[norm, "moving_mean"] = mean
    found[norm, "moving_variance"] = variance
  if top:
    found[top, "kernel"], found[top, "bias"] = head(net)
  assert len(found) == 260 + 2 * bool(top)  # as Keras counts model.weights
  return found


def write_h5(path, entries, place="{layer}/{layer}/{weight}:0"):
  with h5py.File(path, "w") as file:
    file.attrs["backend"] = "tensorflow"
    for (layer, weight), value in entries.items():
      file[place.format(layer=layer, weight=weight)] = value


def torch_entries(net):
  """A state dict, numbered as torchvision nests its modules."""
  names = [("features.0.0", "features.0.1")]
  for block in range(1, 18):
    wrapped = 1 if block == 1 else 2  # sequences before the projection
    at = f"features.{block}.conv"
    names += [(f"{at}.{i}.0", f"{at}.{i}.1") for i in range(wrapped)]
    names.append((f"{at}.{wrapped}", f"{at}.{wrapped + 1}"))
  names.append(("features.18.0", "features.18.1"))
  found = {}
  for (conv, norm), values in zip(names, layers(net), strict=True):
    kernel, scale, bias, mean, variance = values
    found[f"{conv}.weight"] = kernel.transpose(3, 2, 0, 1).copy()
    found[f"{norm}.weight"], found[f"{norm}.bias"] = scale, bias
    found[f"{norm}.running_mean"] = mean
    # torch adds 1e-5 to it where Keras and this model add 1e-3
    found[f"{norm}.running_var"] = variance + np.float32(1e-3 - 1e-5)
    found[f"{norm}.num_batches_tracked"] = np.array(7)
  kernel, found["classifier.1.bias"] = head(net)
  found["classifier.1.weight"] = kernel.T.copy()
  assert len(found) == 314  # as torch counts it
  return found


def folded_entries(net):
  found = {}
  for number, values in enumerate(layers(net)):
    kernel, scale, bias, mean, variance = values
    gain = scale / np.sqrt(variance + np.float32(1e-3))
    kind, axes = "conv_2d", (3, 0, 1, 2)
    if kernel.shape[2] == 1:
      kind, axes = "depthwise_conv_2d", (2, 0, 1, 3)
    found[f"{number:02d}_{kind}/w"] = (kernel * gain).transpose(axes)
    found[f"{number:02d}_{kind}/b"] = bias - mean * gain
  kernel, found["52_conv_2d/b"] = head(net)
  found["52_conv_2d/w"] = kernel.T[:, None, None]
  return found


WRITERS = {
  "keras.h5": lambda path, net: write_h5(path, keras_entries(net)),
  "vision.safetensors": lambda path, net: safetensors.numpy.save_file(
    torch_entries(net), path
  ),
  "folded.npz": lambda path, net: np.savez(path, **folded_entries(net)),
  "own.npz": lambda path, net: weights.save_npz(path, net),
}


@pytest.fixture(scope="module")
def written(net, tmp_path_factory):
  folder = tmp_path_factory.mktemp("weights")
  for file, write in WRITERS.items():
    write(folder / file, net)
  return folder


@pytest.fixture(scope="module")
def predict():
  return jax.jit(partial(MobileNetV2(CLASSES).apply, train=False))


@pytest.mark.slow
@pytest.mark.parametrize("file", sorted(WRITERS))
def test_every_format_gives_the_same_logits(file, written, net, predict):
  x = np.random.default_rng(1).random((2, 32, 32, 3), np.float32)
  empty = jax.tree.map(jnp.zeros_like, net)
  empty["input_stats"] = net["input_stats"]
  loaded = weights.load(str(written / file), empty, head=True)
  assert jax.tree.structure(loaded) == jax.tree.structure(net)
  wanted = predict(net, x)
  assert np.std(wanted) > 0.1
  np.testing.assert_allclose(
    predict(loaded, x), wanted, atol=2e-4 * np.abs(wanted).max()
  )


@pytest.mark.parametrize(
  ("place", "top", "depthwise"),
  [
    ("model_weights/{layer}/{layer}/{weight}:0", "predictions", None),
    ("model_weights/{layer}/{layer}/{weight}", "Logits", "kernel"),  # Keras 3
    ("model_weights/mobilenetv2_1.00_96/{layer}/{weight}:0", None, None),
    ("mobilenetv2_1.00_224/{layer}/{weight}", None, "kernel"),
    ("{layer}/{layer}_1/{weight}:0", "predictions", None),
  ],
)
def test_keras_layouts(place, top, depthwise, net, tmp_path):
  entries = keras_entries(net, top, depthwise or "depthwise_kernel")
  write_h5(tmp_path / "x.h5", entries, place)
  with h5py.File(tmp_path / "x.h5", "a") as file:  # as a compiled model has
    file["optimizer_weights/Adam/Conv1/kernel:0"] = np.ones(3, np.float32)
  empty = jax.tree.map(jnp.zeros_like, net)
  loaded = flat(weights.load(str(tmp_path / "x.h5"), empty))
  for key, value in flat(net).items():
    kept = key.startswith("input_stats") or ("head/" in key and not top)
    np.testing.assert_array_equal(
      loaded[key], np.zeros_like(value) if kept else value, key
    )


@pytest.mark.slow
def test_keeps_dtypes_and_what_the_file_does_not_decide(written, net):
  half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), net)
  half["input_stats"]["standardise"]["mean"] += 3
  before = jax.tree.map(np.array, half)
  for file in ("keras.h5", "vision.safetensors", "folded.npz", "own.npz"):
    loaded = weights.load(str(written / file), half)
    kinds = {leaf.dtype.name for leaf in jax.tree.leaves(loaded)}
    assert kinds == {"bfloat16"}, file
    np.testing.assert_array_equal(
      loaded["input_stats"]["standardise"]["mean"], 3
    )
  jax.tree.map(np.testing.assert_array_equal, half, before)


@pytest.mark.slow
@pytest.mark.parametrize(
  "file", ["keras.h5", "vision.safetensors", "folded.npz", "own.npz"]
)
def test_head_comes_along_only_for_as_many_classes(file, written, net):
  others = drawn(shapes(MobileNetV2(10)), seed=9)
  loaded = weights.load(str(written / file), others)
  for key, value in others["params"]["head"].items():
    np.testing.assert_array_equal(loaded["params"]["head"][key], value)
  stem = loaded["params"]["stem"]["conv"]["kernel"]
  assert not np.allclose(stem, others["params"]["stem"]["conv"]["kernel"])
  with pytest.raises(InputError, match=r"has shape .* needs \(.*10"):
    weights.load(str(written / file), others, head=True)


def test_head_can_be_required_of_a_file_without_one(net, tmp_path):
  write_h5(tmp_path / "x.h5", keras_entries(net, top=None))
  with pytest.raises(InputError, match="predictions/kernel is missing"):
    weights.load(str(tmp_path / "x.h5"), net, head=True)


def test_any_model_comes_back_from_its_own_npz(tmp_path):
  model = models.create("mel_cnn", 4, channels=(4, 4), dense=8)
  first = drawn(shapes(model, 16, 8), seed=1)
  second = drawn(shapes(model, 16, 8), seed=2)
  path = str(tmp_path / "mine.npz")
  weights.save_npz(path, first)
  loaded = weights.load(path, second, head=True)
  for collection in ("params", "batch_stats"):
    jax.tree.map(
      np.testing.assert_array_equal, loaded[collection], first[collection]
    )
  wider = models.create("mel_cnn", 4, channels=(4, 6), dense=8)
  with pytest.raises(InputError, match=r"mean has shape \(4,\); this"):
    weights.load(path, shapes(wider, 16, 8))
  deeper = models.create("mel_cnn", 4, channels=(4, 4, 4), dense=8)
  with pytest.raises(InputError, match="batch_stats/norm2/mean is missing"):
    weights.load(path, shapes(deeper, 16, 8))
  lower = models.create("mel_cnn", 4, channels=(4,), dense=8)
  with pytest.raises(InputError, match="/norm1/mean, which this model lacks"):
    weights.load(path, shapes(lower, 16, 8))


def test_other_models_take_no_mobilenet_file(written):
  tree = shapes(models.create("resnet", 10), 130, 13)
  for file in ("keras.h5", "vision.safetensors", "folded.npz"):
    with pytest.raises(InputError, match="only mobilenet_v2 takes such a file"):
      weights.load(str(written / file), tree)


CONV = ("block_5_project", "kernel")


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (
      lambda e: e.pop(CONV),
      "block_5_project/kernel is missing; params/block5/",
    ),
    (
      lambda e: e.update({CONV: e[CONV][..., :8]}),
      r"kernel:0 has shape \(1, 1, 192, 8\); .* needs \(1, 1, 192, 32\)",
    ),
    (
      lambda e: e.update({CONV: np.full_like(e[CONV], np.inf)}),
      "block5/project/conv/kernel is not finite",
    ),
  ],
  ids=["missing", "shape", "infinite"],
)
def test_names_the_layer_that_is_wrong(change, message, net, tmp_path):
  entries = keras_entries(net)
  change(entries)
  write_h5(tmp_path / "x.h5", entries)
  with pytest.raises(InputError, match=message) as caught:
    weights.load(str(tmp_path / "x.h5"), net)
  assert str(caught.value).startswith(str(tmp_path / "x.h5"))
  assert "\n" not in str(caught.value)


def test_refuses_quantised_weights_and_layers_without_names(net, tmp_path):
  entries = folded_entries(net)
  entries["00_conv_2d/w"] = entries["00_conv_2d/w"].astype(np.int8)
  np.savez(tmp_path / "x.npz", **entries)
  with pytest.raises(InputError, match="00_conv_2d/w is int8; give floating"):
    weights.load(str(tmp_path / "x.npz"), net)
  with h5py.File(tmp_path / "x.weights.h5", "w") as file:
    file["layers/conv2d/vars/0"] = np.zeros((3, 3, 3, 32), np.float32)
  with pytest.raises(InputError, match=r"Keras 3 .*model\.save"):
    weights.load(str(tmp_path / "x.weights.h5"), net)


@pytest.mark.parametrize("file", sorted(WRITERS))
@pytest.mark.parametrize("damage", ["cut", "empty", "foreign"])
def test_damaged_files_give_one_line(file, damage, written, net, tmp_path):
  whole = (written / file).read_bytes()
  path = tmp_path / file
  path.write_bytes(
    {"cut": whole[: len(whole) // 3], "empty": b"", "foreign": b"RIFF" * 99}[
      damage
    ]
  )
  with pytest.raises(InputError, match="damaged") as caught:
    weights.load(str(path), net)
  assert "\n" not in str(caught.value)


def test_unusable_paths(net, tmp_path):
  with pytest.raises(InputError, match=r"\.ckpt received; .* \.h5, .*\.npz"):
    weights.load("weights.ckpt", net)
  with pytest.raises(InputError, match=r"gone\.h5: no such file"):
    weights.load(str(tmp_path / "gone.h5"), net)
  np.save(tmp_path / "x.npy", np.zeros(3))
  (tmp_path / "x.npy").rename(tmp_path / "x.npz")
  with pytest.raises(InputError, match=r"no \.npz but a single array"):
    weights.load(str(tmp_path / "x.npz"), net)


class Payload:
  """Unpickled by Python's own pickle, this makes a file."""

  def __init__(self, path):
    self.path = path

  def __reduce__(self):
    return open, (str(self.path), "w")


def test_no_pickle_is_run(tmp_path):
  victim = tmp_path / "ran"
  np.savez(tmp_path / "x.npz", np.array([Payload(victim)], object))
  with pytest.raises(InputError, match="allow_pickle=False"):
    file_formats.read(str(tmp_path / "x.npz"))
  with pytest.raises(InputError, match=r"\.pt received; .*weights\.md conv"):
    file_formats.read(str(tmp_path / "x.pt"))
  assert not victim.exists()


@pytest.mark.slow
def test_imagenet_weights_name_the_two_pictures(gtzan_data):
  folder = gtzan_data / "weights"
  labels = (folder / "imagenet_labels.txt").read_text().splitlines()
  model = MobileNetV2(len(labels))
  variables = drawn(shapes(model))  # the file replaces all but input_stats
  variables = weights.load(
    str(folder / "mobilenet_v2_imagenet.npz"), variables, head=True
  )
  pictures = []
  for file in ("cat.png", "bird.png"):
    picture = PIL.Image.open(folder / file).convert("RGB")
    left, top = ((side - min(picture.size)) // 2 for side in picture.size)
    square = (left, top, picture.width - left, picture.height - top)
    picture = picture.resize((224, 224), PIL.Image.Resampling.BILINEAR, square)
    pictures.append(np.asarray(picture, np.float32) / 255)
  logits = jax.jit(partial(model.apply, train=False))(
    variables, np.stack(pictures)
  )
  found = [labels[place] for place in np.argmax(logits, -1)]
  assert found == ["Egyptian cat", "chickadee"]
  assert jax.nn.softmax(logits).max(-1).min() > 0.5
