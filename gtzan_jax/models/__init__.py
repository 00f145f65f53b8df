"""Models by name. To add one: a file, a line in MODELS, a row in
published_sizes.py."""

import dataclasses
import functools
import math
from collections.abc import Mapping

import flax.linen as nn
import jax

from gtzan_jax import config_ranges, errors
from gtzan_jax.errors import InputError
from gtzan_jax.models.base import Classifier
from gtzan_jax.models.cnn_bilstm import CNNRNN, CNNBiLSTM
from gtzan_jax.models.cnn_gru import CNNGRU, CNNLSTM
from gtzan_jax.models.fusion_cnn import FusionCNN
from gtzan_jax.models.image_cnn import ImageCNN, PairedCNN, PairedNormCNN
from gtzan_jax.models.lstm import LSTM
from gtzan_jax.models.mel_cnn import MelCNN
from gtzan_jax.models.mlp import FCN, MLP
from gtzan_jax.models.mobilenet import MobileNetV2
from gtzan_jax.models.parallel_cnn import ParallelCNN
from gtzan_jax.models.resnet import ResNet
from gtzan_jax.models.slice_cnn import SliceCNN
from gtzan_jax.models.transformer import Transformer

MODELS: dict[str, type[Classifier]] = {
  "cnn_bilstm": CNNBiLSTM,
  "cnn_gru": CNNGRU,
  "cnn_lstm": CNNLSTM,
  "cnn_rnn": CNNRNN,
  "fcn": FCN,
  "fusion_cnn": FusionCNN,
  "image_cnn": ImageCNN,
  "image_cnn2": PairedCNN,
  "image_cnn_bn": PairedNormCNN,
  "lstm": LSTM,
  "mel_cnn": MelCNN,
  "mlp": MLP,
  "mobilenet_v2": MobileNetV2,
  "parallel_cnn": ParallelCNN,
  "resnet": ResNet,
  "slice_cnn": SliceCNN,
  "transformer": Transformer,
}

# 8 GiB of float32. The largest recipe has 206 million.
MOST_PARAMETERS = 2**31


def create(name: str, num_classes: int, **kwargs) -> Classifier:
  """The model called `name`, without variables.

  Args:
    name: a key of MODELS.
    num_classes: number of logits.
    **kwargs: fields of the model class; a list is taken as a tuple.

  Raises:
    InputError: no such model or field, or a value out of its range
      (gtzan_jax.config_ranges).
  """
  if name not in MODELS:
    raise InputError(
      f"unknown model {name!r}; the models are {', '.join(sorted(MODELS))}"
    )
  kwargs = config_ranges.options(f"model {name!r}", kwargs, options(name))
  return MODELS[name](num_classes=num_classes, **kwargs)


def options(name: str) -> dict[str, object]:
  """The keyword arguments that `create(name, num_classes, ...)` takes."""
  hidden = ("parent", "name", "num_classes")  # the first two are Linen's
  fields = dataclasses.fields(MODELS[name])
  return {f.name: f.default for f in fields if f.name not in hidden}


def shapes(model: nn.Module, example_shape: tuple[int, ...]) -> dict:
  """A model's variables as jax.ShapeDtypeStruct; nothing is computed.

  Args:
    model: from `create`.
    example_shape: of one example, without the batch.

  Raises:
    InputError: the model takes no such examples, or has more than
      MOST_PARAMETERS values.
  """
  try:
    variables = jax.eval_shape(
      functools.partial(model.init, train=False),
      jax.random.key(0),
      jax.ShapeDtypeStruct((1, *example_shape), "float32"),
    )
  except InputError:
    raise
  except Exception as error:  # operations raise anything at another rank
    raise InputError(
      f"{type(model).__name__} takes no examples of shape"
      f" {tuple(example_shape)}: {errors.first_line(error)}"
    ) from error
  check_size(type(model).__name__, variables)
  return variables


def check_size(what: str, shapes: Mapping) -> None:
  """Raises InputError if arrays of these shapes exceed MOST_PARAMETERS."""
  size = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))
  if size > MOST_PARAMETERS:
    raise InputError(
      f"{what} has {size} parameters: give config.model smaller sizes, so that"
      f" they are at most {MOST_PARAMETERS}"
    )
