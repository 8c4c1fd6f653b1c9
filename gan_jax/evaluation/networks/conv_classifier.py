"""Layers of the small classifiers whose weights the package holds."""

from typing import Mapping, Sequence

import jax
import jax.numpy as jnp

from gan_jax.layers import downsample_max

Array = jax.Array
Params = Mapping[str, Array]


def convolve(params: Params, layers: Sequence[int | None], x: Array) -> Array:
  """Applies 3 x 3 convolutions with ReLU, and max pooling.

  Args:
    params: parameters, 'conv_i/kernel' and 'conv_i/bias' for each layer i.
    layers: channels of each layer; None for pooling of 2 x 2 values.
    x: `[B, H, W, C]` float.

  Returns:
    `[B, H', W', C']`, at least 0.
  """
  for i, width in enumerate(layers):
    if width is None:
      x = downsample_max(x)
      continue
    x = jax.lax.conv_general_dilated(
      x,
      params[f'conv_{i}/kernel'],
      (1, 1),
      'SAME',
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
      precision='highest',
    )
    x = jax.nn.relu(x + params[f'conv_{i}/bias'][None, None, None])
  return x


def affine(params: Params, name: str, x: Array) -> Array:
  """Applies a dense layer.

  Args:
    params: parameters, 'name/kernel' and 'name/bias'.
    name: name of the layer.
    x: `[B, I]` float.

  Returns:
    `[B, O]`.
  """
  product = jnp.dot(x, params[f'{name}/kernel'], precision='highest')
  return product + params[f'{name}/bias'][None]
