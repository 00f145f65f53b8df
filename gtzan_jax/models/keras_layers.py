"""Layers as Keras builds them by default, for sources written in Keras.

Glorot-uniform kernels, zero biases; BatchNorm of momentum 0.99 and epsilon
1e-3. A source that names no value means these.
"""

from functools import partial

from flax import linen as nn

batch_norm = partial(nn.BatchNorm, momentum=0.99, epsilon=1e-3)
conv = partial(nn.Conv, kernel_init=nn.initializers.glorot_uniform())
dense = partial(nn.Dense, kernel_init=nn.initializers.glorot_uniform())
