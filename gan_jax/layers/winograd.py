"""4 x 4 convolutions of stride 2 and padding 1, with 9/16 of the products.

With the padded image cut into blocks of 2 x 2 pixels, taken as channels, such
a convolution is a 2 x 2 convolution of stride 1 over blocks. Two neighboring
outputs along one axis need three products instead of four:

  y0 = x0 k0 + x1 k1 = (x0 - x1) k0 + x1 (k0 + k1)
  y1 = x1 k0 + x2 k1 = x1 (k0 + k1) + (x2 - x1) k1

and along both axes nine instead of sixteen. Each product is one matrix product
over all tiles of 2 x 2 outputs, which XLA's CPU backend computes as fast as its
best convolutions, also in a scan. The gradients are the transposes of the same
three steps: differences of the image, sums of the kernel, sums of products.

Images are NHWC with even sides, kernels HWIO. Sides of 4 n + 2 pixels are
padded to 4 n + 4.

References:
  Lavin and Gray, Fast Algorithms for Convolutional Neural Networks,
  https://arxiv.org/abs/1509.09308, 2015; this is F(2 x 2, 2 x 2).
"""

import jax
import jax.numpy as jnp

Array = jax.Array
Nine = list[list[Array]]


def _padded(x: Array, axis: int, high: int = 1, low: int = 0) -> Array:
  """Pads x with zeros before and after along an axis."""
  zeros = lambda n: jnp.zeros(
    (*x.shape[:axis], n, *x.shape[axis + 1 :]), x.dtype
  )
  parts = [zeros(low), x, zeros(high)]
  return jnp.concatenate([p for p in parts if p.shape[axis]], axis)


def _differences(x: Array, axis: int) -> list[Array]:
  """Maps blocks x0, x1, x2 of every tile to x0 - x1, x1, x2 - x1."""
  last = x.shape[axis] - 2
  take = lambda i: jax.lax.slice_in_dim(x, i, last + i, 2, axis)
  x0, x1, x2 = take(0), take(1), jax.lax.slice_in_dim(x, 2, None, 2, axis)
  return [x0 - x1, x1, x2 - x1]


def _image(x: Array) -> Nine:
  """Maps `[N, H, W, I]` to nine of `[N T S, 4I]`, for T x S tiles."""
  n, height, width, channels = x.shape
  x = _padded(x, 2, 1 + width % 4, low=1)
  x = _padded(x, 1, 1 + height % 4, low=1)
  x = x.reshape(n, x.shape[1] // 2, 2, x.shape[2] // 2, 2 * channels)
  x = jnp.concatenate([x[:, :, 0], x[:, :, 1]], -1)
  flat = lambda y: y.reshape(-1, 4 * channels)
  return [[flat(y) for y in _differences(row, 2)] for row in _differences(x, 1)]


def _pair_sums(y: Array, axis: int) -> list[Array]:
  a, b = (jax.lax.index_in_dim(y, i, axis, keepdims=False) for i in (0, 1))
  return [a, a + b, b]


def _outputs(y: Array) -> Nine:
  """Maps `[N, 2T, 2S, O]`, or 2T - 1 or 2S - 1, to nine of `[N T S, O]`."""
  for axis in (1, 2):
    y = _padded(y, axis, y.shape[axis] % 2)
  n, height, width, channels = y.shape
  y = y.reshape(n, height // 2, 2, width // 2, 2, channels)
  flat = lambda z: z.reshape(-1, channels)
  return [[flat(z) for z in _pair_sums(row, 3)] for row in _pair_sums(y, 2)]


def _kernel(kernel: Array) -> Nine:
  """Maps `[4, 4, I, O]` to nine of `[4I, O]`."""
  channels, features = kernel.shape[2:]
  kernel = kernel.reshape(2, 2, 2, 2, channels, features)
  flat = lambda k: k.reshape(4 * channels, features)
  return [
    [flat(k) for k in _pair_sums(row, 1)] for row in _pair_sums(kernel, 0)
  ]


def _joined(a: Array, b: Array, c: Array, axis: int) -> Array:
  """Applies the transpose of _pair_sums."""
  return jnp.stack([a + b, b + c], axis)


def convolve(x: Array, kernel: Array) -> Array:
  """Convolves images with stride 2 and padding 1.

  Args:
    x: images, `[N, H, W, I]`, float.
    kernel: kernel, `[4, 4, I, O]`, float.

  Returns:
    Images, `[N, H / 2, W / 2, O]`.
  """
  tiles = [-(-side // 4) for side in x.shape[1:3]]
  split = lambda y: y.reshape(-1, *tiles, kernel.shape[3])
  rows = [
    _joined(*(split(a @ k) for a, k in zip(*row)), axis=3)
    for row in zip(_image(x), _kernel(kernel))
  ]
  y = _joined(*rows, axis=2)
  y = y.reshape(-1, 2 * tiles[0], 2 * tiles[1], kernel.shape[3])
  return y[:, : x.shape[1] // 2, : x.shape[2] // 2]


def _shifted(x: Array, by: int, axis: int) -> Array:
  """Shifts along an axis by one, filling with zeros."""
  size = x.shape[axis]
  if by > 0:
    return _padded(jax.lax.slice_in_dim(x, 0, size - 1, axis=axis), axis, 0, 1)
  return _padded(jax.lax.slice_in_dim(x, 1, size, axis=axis), axis)


def _pixels(z0: Array, z1: Array, z2: Array, axis: int, pixel: int):
  """Applies the transpose of _differences: four pixels of each tile's axis.

  Args:
    z0: values at the first block of every tile.
    z1: values at the second block.
    z2: values at the third block, the first of the next tile.
    axis: axis of tiles.
    pixel: axis of the two pixels of a block.
  """
  at = lambda z, i: jax.lax.index_in_dim(z, i, pixel, keepdims=False)
  middle = z1 - z0 - z2
  return [
    at(z0, 1) + _shifted(at(z2, 1), 1, axis),
    at(middle, 0),
    at(middle, 1),
    at(z2, 0) + _shifted(at(z0, 0), -1, axis),
  ]


def input_gradient(dy: Array, kernel: Array) -> Array:
  """Computes the gradient of `convolve` with respect to x.

  This is the transposed convolution.

  Args:
    dy: gradient with respect to the output, `[N, h, w, O]`, float.
    kernel: kernel, `[4, 4, I, O]`, float.

  Returns:
    Gradient with respect to x, `[N, 2h, 2w, I]`.
  """
  tiles = [-(-side // 2) for side in dy.shape[1:3]]
  channels = kernel.shape[2]
  rows = []
  for dys, kernels in zip(_outputs(dy), _kernel(kernel)):
    split = lambda z: z.reshape(-1, *tiles, 2, 2, channels)
    blocks = [split(y @ k.T) for y, k in zip(dys, kernels)]
    rows.append(jnp.concatenate(_pixels(*blocks, axis=2, pixel=4), -1))
  # Rows are [N, T, S, 2, 4 I].
  x = jnp.stack(_pixels(*rows, axis=1, pixel=3), 2)
  x = x.reshape(-1, 4 * tiles[0], 4 * tiles[1], channels)
  return x[:, : 2 * dy.shape[1], : 2 * dy.shape[2]]


def weight_gradient(x: Array, dy: Array) -> Array:
  """Computes the gradient of `convolve` with respect to the kernel.

  Args:
    x: images, `[N, H, W, I]`, float.
    dy: gradient with respect to the output, `[N, H / 2, W / 2, O]`, float.

  Returns:
    Gradient with respect to the kernel, `[4, 4, I, O]`.
  """
  channels, features = x.shape[3], dy.shape[3]
  # Output channels first: XLA computes a' b slowly if a is the wider one.
  split = lambda product: product.reshape(features, 2, 2, channels)
  rows = [
    _joined(*(split(b.T @ a) for a, b in zip(*row)), axis=2)
    for row in zip(_image(x), _outputs(dy))
  ]
  gradient = _joined(*rows, axis=1).reshape(features, 4, 4, channels)
  return gradient.transpose(1, 2, 3, 0)
