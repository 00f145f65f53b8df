"""The stacked LSTM on feature sequences (the LSTM-GAN project, Net5)."""

import jax
from flax import linen as nn

from gtzan_jax.models.base import Classifier
from gtzan_jax.models.dropout import Dropout
from gtzan_jax.models.layers import InputStats, torch_dense
from gtzan_jax.models.scan_rnn import ScanLSTM, torch_init


class LSTM(Classifier):
  """LSTM layers, dropout after each, Dense on the last hidden state.

  At the source's 61 frames of 33 values and ten classes 216,842 parameters,
  with PyTorch's two biases a gate and initialisers. The source's text has 128
  units, its notebook 512; its input is not standardised. Takes any number of
  frames.

  Attributes:
    hidden: size of each layer's state.
    layers: number of LSTM layers.
    dropout: dropout rate between layers and of the last state.
  """

  hidden: int = 128
  layers: int = 2
  dropout: float = 0.3

  @nn.compact
  def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
    x = InputStats(name="standardise")(x)
    for number in range(self.layers):
      layer = ScanLSTM(
        self.hidden,
        two_biases=True,
        name=f"lstm{number}",
        **torch_init(self.hidden),
      )
      x = layer(x, last=number == self.layers - 1)
      x = Dropout(self.dropout, deterministic=not train)(x)
    return torch_dense(self.num_classes, self.hidden, name="head")(x)
