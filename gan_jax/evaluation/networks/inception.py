"""The Inception-v3 network of FID: 2,048 pooled features, 1,008 logits.

Its functions take weights and images. The weights are those published on
2015-12-05 with batch norm folded into the convolutions: name -> {'kernel': [h,
w, in, out], 'bias': [out]}, see LAYERS, and optionally the class head 'fc',
{'kernel': [2048, 1008], 'bias': [1008]}.

References:
  Szegedy et al., Rethinking the Inception Architecture for Computer Vision,
  https://arxiv.org/abs/1512.00567, 2015.
"""

import functools
from typing import Mapping

import chex
import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array
Weights = Mapping[str, Mapping[str, Array]]

FEATURES = 2048
CLASSES = 1008
SIZE = 299


def _shapes_a(n, pool):
  return {
    'branch1x1': (1, 1, n, 64),
    'branch5x5_1': (1, 1, n, 48),
    'branch5x5_2': (5, 5, 48, 64),
    'branch3x3dbl_1': (1, 1, n, 64),
    'branch3x3dbl_2': (3, 3, 64, 96),
    'branch3x3dbl_3': (3, 3, 96, 96),
    'branch_pool': (1, 1, n, pool),
  }


def _shapes_c(m):
  return {
    'branch1x1': (1, 1, 768, 192),
    'branch7x7_1': (1, 1, 768, m),
    'branch7x7_2': (1, 7, m, m),
    'branch7x7_3': (7, 1, m, 192),
    'branch7x7dbl_1': (1, 1, 768, m),
    'branch7x7dbl_2': (7, 1, m, m),
    'branch7x7dbl_3': (1, 7, m, m),
    'branch7x7dbl_4': (7, 1, m, m),
    'branch7x7dbl_5': (1, 7, m, 192),
    'branch_pool': (1, 1, 768, 192),
  }


def _shapes_e(n):
  return {
    'branch1x1': (1, 1, n, 320),
    'branch3x3_1': (1, 1, n, 384),
    'branch3x3_2a': (1, 3, 384, 384),
    'branch3x3_2b': (3, 1, 384, 384),
    'branch3x3dbl_1': (1, 1, n, 448),
    'branch3x3dbl_2': (3, 3, 448, 384),
    'branch3x3dbl_3a': (1, 3, 384, 384),
    'branch3x3dbl_3b': (3, 1, 384, 384),
    'branch_pool': (1, 1, n, 192),
  }


_STEM = {
  '1a_3x3': (3, 3, 3, 32),
  '2a_3x3': (3, 3, 32, 32),
  '2b_3x3': (3, 3, 32, 64),
  '3b_1x1': (1, 1, 64, 80),
  '4a_3x3': (3, 3, 80, 192),
}
_BLOCKS = {
  '5b': _shapes_a(192, 32),
  '5c': _shapes_a(256, 64),
  '5d': _shapes_a(288, 64),
  '6a': {
    'branch3x3': (3, 3, 288, 384),
    'branch3x3dbl_1': (1, 1, 288, 64),
    'branch3x3dbl_2': (3, 3, 64, 96),
    'branch3x3dbl_3': (3, 3, 96, 96),
  },
  '6b': _shapes_c(128),
  '6c': _shapes_c(160),
  '6d': _shapes_c(160),
  '6e': _shapes_c(192),
  '7a': {
    'branch3x3_1': (1, 1, 768, 192),
    'branch3x3_2': (3, 3, 192, 320),
    'branch7x7x3_1': (1, 1, 768, 192),
    'branch7x7x3_2': (1, 7, 192, 192),
    'branch7x7x3_3': (7, 1, 192, 192),
    'branch7x7x3_4': (3, 3, 192, 192),
  },
  '7b': _shapes_e(1280),
  '7c': _shapes_e(2048),
}
# Name -> shape of the kernel, in the order of the published file.
LAYERS = {
  **{f'Conv2d_{name}': shape for name, shape in _STEM.items()},
  **{
    f'Mixed_{block}.{branch}': shape
    for block, shapes in _BLOCKS.items()
    for branch, shape in shapes.items()
  },
}


def _convolve(weights, name, x, stride=1, same=True):
  kernel = weights[name]['kernel']
  height, width = kernel.shape[:2]
  # Without Precision.HIGHEST, GPUs compute in TF32.
  if (height, width) == (1, 1):
    # 25 % faster than the convolution on CPUs.
    y = jnp.dot(x, kernel[0, 0], precision=jax.lax.Precision.HIGHEST)
  else:
    sides = ((height // 2,) * 2, (width // 2,) * 2)
    y = jax.lax.conv_general_dilated(
      x,
      kernel,
      (stride, stride),
      # Pads one row and column, removed below: XLA's CPU convolution without
      # padding is 2 to 5 times slower.
      sides if same and stride == 1 else ((0, 1), (0, 1)),
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
      precision=jax.lax.Precision.HIGHEST,
    )
    if not same:
      y = y[:, :-1, :-1]
  return jax.nn.relu(y + weights[name]['bias'].reshape(1, 1, 1, -1))


def _combine(function, x, stride=1):
  """Reduces each 3 x 3 window; on CPUs much faster than reduce_window."""
  for axis in (1, 2):
    last = x.shape[axis] - 3
    shifted = [
      jax.lax.slice_in_dim(x, i, i + last + 1, stride, axis) for i in range(3)
    ]
    x = functools.reduce(function, shifted)
  return x


def _pad(x, value):
  return jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=value)


def _max_pool(x):
  return _combine(jnp.maximum, x, stride=2)


def _same_max_pool(x):
  return _combine(jnp.maximum, _pad(x, -jnp.inf))


def _mean_pool(x):
  """Averages the pixels of each 3 x 3 window that are inside the image."""
  inside = [np.convolve(np.ones(n), np.ones(3), 'same') for n in x.shape[1:3]]
  share = (1 / np.outer(*inside)).astype(np.float32)
  return _combine(jnp.add, _pad(x, 0)) * share[None, :, :, None]


def _chain(conv, x, *names):
  for name in names:
    x = conv(name, x)
  return x


def _block_a(conv, x):
  return (
    conv('branch1x1', x),
    _chain(conv, x, 'branch5x5_1', 'branch5x5_2'),
    _chain(conv, x, *(f'branch3x3dbl_{i}' for i in (1, 2, 3))),
    conv('branch_pool', _mean_pool(x)),
  )


def _block_b(conv, x):
  double = _chain(conv, x, 'branch3x3dbl_1', 'branch3x3dbl_2')
  return (
    conv('branch3x3', x, stride=2),
    conv('branch3x3dbl_3', double, stride=2),
    _max_pool(x),
  )


def _block_c(conv, x):
  return (
    conv('branch1x1', x),
    _chain(conv, x, *(f'branch7x7_{i}' for i in (1, 2, 3))),
    _chain(conv, x, *(f'branch7x7dbl_{i}' for i in (1, 2, 3, 4, 5))),
    conv('branch_pool', _mean_pool(x)),
  )


def _block_d(conv, x):
  long = _chain(conv, x, *(f'branch7x7x3_{i}' for i in (1, 2, 3)))
  return (
    conv('branch3x3_2', conv('branch3x3_1', x), stride=2),
    conv('branch7x7x3_4', long, stride=2),
    _max_pool(x),
  )


def _block_e(pool):
  def block(conv, x):
    single = conv('branch3x3_1', x)
    double = _chain(conv, x, 'branch3x3dbl_1', 'branch3x3dbl_2')
    return (
      conv('branch1x1', x),
      *(conv(f'branch3x3_{i}', single) for i in ('2a', '2b')),
      *(conv(f'branch3x3dbl_{i}', double) for i in ('3a', '3b')),
      conv('branch_pool', pool(x)),
    )

  return block


# Block 7c uses max pooling, like the graph that defines FID.
_MAKERS = {
  **dict.fromkeys(('5b', '5c', '5d'), _block_a),
  '6a': _block_b,
  **dict.fromkeys(('6b', '6c', '6d', '6e'), _block_c),
  '7a': _block_d,
  '7b': _block_e(_mean_pool),
  '7c': _block_e(_same_max_pool),
}


def inception_features(weights: Weights, images: Array) -> Array:
  """Computes the 2,048 features of images.

  Args:
    weights: name -> {'kernel', 'bias'}, for all LAYERS.
    images: `[B, 299, 299, 3]`, float32, in [-1, 1], from
      `preprocess.preprocess`.

  Returns:
    `[B, 2048]` float32, at least 0.

  Raises:
    AssertionError: if the images have another shape.
    ValueError: if layers are missing.
  """
  chex.assert_shape(images, (None, SIZE, SIZE, 3))
  missing = [name for name in LAYERS if name not in weights]
  if missing:
    raise ValueError(f'the weights lack the layers {", ".join(missing)}')
  stem = lambda name, x, **o: _convolve(weights, f'Conv2d_{name}', x, **o)
  x = stem('1a_3x3', images, stride=2)
  x = stem('2a_3x3', x, same=False)
  x = _max_pool(stem('2b_3x3', x))
  x = stem('3b_1x1', x)
  x = _max_pool(stem('4a_3x3', x, same=False))
  for name, block in _MAKERS.items():
    conv = lambda branch, x, name=name, **o: _convolve(
      weights, f'Mixed_{name}.{branch}', x, **o
    )
    x = jnp.concatenate(block(conv, x), axis=-1)
  return x.mean(axis=(1, 2))


def class_logits(weights: Weights, features: Array) -> Array:
  """Computes class logits without their bias, as in the Inception Score.

  The graph that the score was published with omits the bias.

  Args:
    weights: weights including the class head 'fc'.
    features: `[B, 2048]`, from `inception_features`.

  Returns:
    `[B, 1008]` float32.

  Raises:
    ValueError: if the weights have no class head.

  References:
    Salimans et al., Improved Techniques for Training GANs,
    https://arxiv.org/abs/1606.03498, 2016.
  """
  chex.assert_shape(features, (None, FEATURES))
  if 'fc' not in weights:
    raise ValueError(
      'the weights have no class head (fc), which the Inception Score needs; '
      'use the published file, which has one'
    )
  kernel = weights['fc']['kernel']
  return jnp.dot(features, kernel, precision=jax.lax.Precision.HIGHEST)
