"""Resampling of images by two, alone and merged with a convolution.

A convolution after nearest upsampling is one transposed convolution of stride
2, and one before average pooling a convolution of stride 2, both with a kernel
that is larger by one: the kernel, convolved with the 2 x 2 window. Up to
rounding the numbers are the same, for 16 / 36 of the products of a 3 x 3 kernel
(and for a quarter of them on CPU, with `layers.winograd`).

The functions named `filter_...` and `blur` apply StyleGAN2's low-pass filter,
[1, 3, 3, 1] / 8 along both axes, with zeros outside of the image. It is a sum
of shifted images, since on CPU gradients of a depthwise convolution are slow.
There its gradients are the filter itself, and cannot be differentiated in
forward mode, like those of convolutions (layers.convolution).

Images are NHWC. All functions can be differentiated any number of times.
"""

import functools

import chex
import jax
import jax.numpy as jnp

from gan_jax.layers import convolution

Array = jax.Array


def _check_even(x: Array) -> None:
  chex.assert_rank(x, 4)
  if x.shape[1] % 2 or x.shape[2] % 2:
    raise ValueError(f'an image of {x.shape[1:3]}: both sides must be even')


def upsample_nearest(x: Array) -> Array:
  """Repeats every pixel twice along both axes.

  Args:
    x: images, `[B, H, W, C]`.

  Returns:
    Images, `[B, 2 H, 2 W, C]`.
  """
  chex.assert_rank(x, 4)
  return jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)


def downsample_mean(x: Array) -> Array:
  """Averages windows of 2 x 2 pixels.

  Args:
    x: images of even sides, `[B, H, W, C]`, float.

  Returns:
    Images, `[B, H / 2, W / 2, C]`.

  Raises:
    ValueError: if a side is odd.
  """
  _check_even(x)
  batch, height, width, channels = x.shape
  windows = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
  return windows.mean(axis=(2, 4))


def pool_to(x: Array, side: int) -> Array:
  """Averages windows of an image so that a given number of them is left.

  Args:
    x: images whose sides are multiples of `side`, `[B, H, W, C]`, float.
    side: side of the output in pixels.

  Returns:
    Images, `[B, side, side, C]`.

  Raises:
    ValueError: if a side is not a multiple.
  """
  chex.assert_rank(x, 4)
  batch, height, width, channels = x.shape
  if height % side or width % side:
    raise ValueError(
      f'an image of {(height, width)}: both sides must be multiples of {side}'
    )
  rows, columns = height // side, width // side
  windows = x.reshape(batch, side, rows, side, columns, channels)
  return windows.mean(axis=(2, 4))


def select_quadrant(x: Array, corner: Array) -> Array:
  """Cuts a quarter out of each image.

  Args:
    x: images of even sides, `[B, H, W, C]`.
    corner: quarter of each image, `[B]` int: 0 for the upper left one, 1 for
      the upper right, 2 for the lower left, 3 for the lower right.

  Returns:
    Images, `[B, H / 2, W / 2, C]`.

  Raises:
    ValueError: if a side is odd.
  """
  _check_even(x)
  chex.assert_shape(corner, x.shape[:1])
  for axis, second in ((1, corner >= 2), (2, corner % 2 == 1)):
    halves = jnp.split(x, 2, axis=axis)
    x = jnp.where(second.reshape(-1, 1, 1, 1), halves[1], halves[0])
  return x


def downsample_max(x: Array) -> Array:
  """Takes the largest number of windows of 2 x 2 pixels.

  A last row or column that fills no window is dropped.

  Args:
    x: images, `[B, H, W, C]`.

  Returns:
    Images, `[B, H // 2, W // 2, C]`.
  """
  chex.assert_rank(x, 4)
  x = x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]
  rows = jnp.maximum(x[:, ::2], x[:, 1::2])
  return jnp.maximum(rows[:, :, ::2], rows[:, :, 1::2])


def _widened(kernel: Array) -> Array:
  """Convolves a kernel with the 2 x 2 window of ones: `[k + 1, k + 1, ...]`."""
  for axis in (0, 1):
    padding = [(0, 0)] * 4
    padding[axis] = (1, 1)
    padded = jnp.pad(kernel, padding)
    size = padded.shape[axis]
    part = lambda x, start, axis=axis, size=size: jax.lax.slice_in_dim(
      x, start, start + size - 1, axis=axis
    )
    kernel = part(padded, 0) + part(padded, 1)
  return kernel


def _check_odd(kernel: Array) -> int:
  """Returns the padding that keeps the size of an image."""
  chex.assert_rank(kernel, 4)
  size = kernel.shape[0]
  if size % 2 == 0 or size != kernel.shape[1]:
    raise ValueError(f'a kernel of {kernel.shape[:2]}: must be square and odd')
  return size // 2


def upsample_convolve(x: Array, kernel: Array) -> Array:
  """Computes `convolve(upsample_nearest(x), kernel)`, of the same size.

  Args:
    x: images, `[B, H, W, I]`, float.
    kernel: kernel of an odd side, `[k, k, I, O]`, float.

  Returns:
    Images, `[B, 2 H, 2 W, O]`.

  Raises:
    ValueError: if the kernel is not square and odd.
  """
  padding = _check_odd(kernel)
  dual = jnp.flip(_widened(kernel), (0, 1)).swapaxes(2, 3)
  return convolution.convolve_transpose(x, dual, stride=2, padding=padding)


def convolve_downsample(x: Array, kernel: Array) -> Array:
  """Computes `downsample_mean(convolve(x, kernel))`, of half the size.

  Args:
    x: images of even sides, `[B, H, W, I]`, float.
    kernel: kernel of an odd side, `[k, k, I, O]`, float.

  Returns:
    Images, `[B, H / 2, W / 2, O]`.

  Raises:
    ValueError: if the kernel is not square and odd, or a side of the images is
      odd.
  """
  padding = _check_odd(kernel)
  _check_even(x)
  wide = _widened(kernel) / 4
  return convolution.convolve(x, wide, stride=2, padding=padding)


def _materialize(x: Array) -> Array:
  """Lets XLA:CPU write an array to memory before it is used.

  The taps of a filter read each pixel four times. Merged with the padding, or
  with the filter along the other axis, each tap would compute its pixel anew.
  """
  if not convolution.uses_own_gradients(None):
    return x
  return jax.lax.optimization_barrier(x)


def _shifted(
  x: Array, axis: int, padding: tuple[int, int], size: int, step: int = 1
) -> list[Array]:
  """Returns x, padded along an axis, from pixels 0, 1, 2 and so on.

  Args:
    x: images, `[B, H, W, C]`.
    axis: axis of the shifts.
    padding: numbers of zeros before and after.
    size: pixels that each result spans.
    step: step between its pixels.
  """
  widths = [(0, 0, 0)] * x.ndim
  widths[axis] = (*padding, 0)
  padded = jax.lax.pad(x, jnp.zeros((), x.dtype), widths)
  padded = _materialize(padded)
  return [
    jax.lax.slice_in_dim(padded, i, i + size, step, axis=axis)
    for i in range(padded.shape[axis] - size + 1)
  ]


def _raw_upsample(x: Array) -> Array:
  for axis in (1, 2):
    size = x.shape[axis]
    before, here, after = _shifted(x, axis, (1, 1), size)
    halves = (before + 3 * here) / 4, (3 * here + after) / 4
    shape = list(x.shape)
    shape[axis] *= 2
    x = _materialize(jnp.stack(halves, axis=axis + 1).reshape(shape))
  return x


def _raw_downsample(x: Array) -> Array:
  for axis in (1, 2):
    taps = _shifted(x, axis, (1, 1), x.shape[axis] - 1, step=2)
    x = (taps[0] + 3 * (taps[1] + taps[2]) + taps[3]) / 8
  return x


def _raw_blur(padding: tuple[int, int], gain: float, x: Array) -> Array:
  for axis in (1, 2):
    taps = _shifted(x, axis, padding, x.shape[axis] + sum(padding) - 3)
    x = (taps[0] + 3 * (taps[1] + taps[2]) + taps[3]) * (gain**0.5 / 8)
  return x


# The filter is symmetric: the gradient of each of these is one of them.
@jax.custom_vjp
def _upsample(x):
  return _raw_upsample(x)


@jax.custom_vjp
def _downsample(x):
  return _raw_downsample(x)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _blur(padding, gain, x):
  return _raw_blur(padding, gain, x)


_upsample.defvjp(
  lambda x: (_upsample(x), None), lambda _, dy: (4 * _downsample(dy),)
)
_downsample.defvjp(
  lambda x: (_downsample(x), None), lambda _, dy: (_upsample(dy) / 4,)
)
_blur.defvjp(
  lambda padding, gain, x: (_blur(padding, gain, x), None),
  lambda padding, gain, _, dy: (
    _blur(tuple(3 - p for p in padding), gain, dy),
  ),
)


def filter_upsample(x: Array) -> Array:
  """Doubles the size of images: zeros between pixels, then the filter.

  The gain is 4, which keeps the brightness.

  Args:
    x: images, `[B, H, W, C]`, float.

  Returns:
    Images, `[B, 2 H, 2 W, C]`.

  References:
    Karras et al., Analyzing and Improving the Image Quality of StyleGAN,
    https://arxiv.org/abs/1912.04958, 2020, appendix B.
  """
  chex.assert_rank(x, 4)
  return (_upsample if convolution.uses_own_gradients(None) else _raw_upsample)(
    x
  )


def filter_downsample(x: Array) -> Array:
  """Halves the size of images: the filter, then every second pixel.

  Args:
    x: images of even sides, `[B, H, W, C]`, float.

  Returns:
    Images, `[B, H / 2, W / 2, C]`.

  Raises:
    ValueError: if a side is odd.

  References:
    Karras et al., https://arxiv.org/abs/1912.04958, 2020, appendix B.
  """
  _check_even(x)
  return (
    _downsample if convolution.uses_own_gradients(None) else _raw_downsample
  )(x)


def blur(x: Array, padding: tuple[int, int], gain: float = 1.0) -> Array:
  """Applies the filter to images.

  Args:
    x: images, `[B, H, W, C]`, float.
    padding: rows and columns of zeros before and after the image.
    gain: factor on the output.

  Returns:
    Images, `[B, H + sum(padding) - 3, W + sum(padding) - 3, C]`.

  Raises:
    ValueError: if the padded image is smaller than the filter.
  """
  chex.assert_rank(x, 4)
  for axis in (1, 2):
    size = x.shape[axis] + sum(padding) - 3
    if size < 1:
      raise ValueError(
        f'an image of {x.shape[1:3]} with padding {padding} is smaller than '
        'the filter of 4 pixels'
      )
  apply = _blur if convolution.uses_own_gradients(None) else _raw_blur
  return apply(tuple(padding), gain, x)
