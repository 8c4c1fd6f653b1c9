"""Convolution and transposed convolution, with own gradients on CPU.

XLA's CPU backend runs some convolution gradients far below the speed of the
forward pass: the weight gradient of a transposed convolution 20 times slower,
and inside a scan that of any strided convolution 90 times slower. Hand-written
in one canonical form, they keep the speed of the forward pass. Convolution,
input gradient and weight gradient are bilinear, and the derivative of each
consists of the other two. Three `custom_vjp` functions that call one another
therefore give derivatives of every order at full speed (R1 needs the second).

Convolutions of one pixel are matrix products on CPU, and those of
`layers.winograd` take its algorithm.

Under vmap over kernels (ensemble members) XLA would use a grouped convolution,
several times slower than a loop; here it is a loop.

On GPU and TPU these functions are XLA's own convolutions and gradients. On CPU,
JAX does not support forward-mode differentiation (`jax.jvp`, `jax.jacfwd`) of
them, as for every `custom_vjp`; pass `own_gradients=False` to use it.

Images are NHWC, kernels HWIO, both floating point.
"""

import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax.custom_batching import sequential_vmap

from gan_jax.layers import winograd

Array = jax.Array
_DIMENSIONS = ('NHWC', 'HWIO', 'NHWC')
_WIDE = 32  # channels, in and out, at which winograd becomes faster on CPU


class _Geometry(NamedTuple):
  """Geometry of a convolution [N, height, width, I] -> [N, out_h, out_w, O]."""

  size: tuple[int, int]  # height, width of the input
  out: tuple[int, int]
  kernel: tuple[int, int]
  stride: int
  padding: int


def _raw_convolve(geometry: _Geometry, x: Array, kernel: Array) -> Array:
  padding = [(geometry.padding, geometry.padding)] * 2
  strides = (geometry.stride, geometry.stride)
  return jax.lax.conv_general_dilated(
    x, kernel, strides, padding, dimension_numbers=_DIMENSIONS
  )


def _raw_input_gradient(geometry: _Geometry, dy: Array, kernel: Array) -> Array:
  low = [k - 1 - geometry.padding for k in geometry.kernel]
  dilated = [(n - 1) * geometry.stride + 1 for n in geometry.out]
  padding = [
    (lo, size + k - 1 - d - lo)
    for lo, size, k, d in zip(low, geometry.size, geometry.kernel, dilated)
  ]
  return jax.lax.conv_general_dilated(
    dy,
    jnp.flip(kernel, (0, 1)).swapaxes(2, 3),
    (1, 1),
    padding,
    lhs_dilation=(geometry.stride, geometry.stride),
    dimension_numbers=_DIMENSIONS,
  )


def _raw_weight_gradient(geometry: _Geometry, x: Array, dy: Array) -> Array:
  # Examples act as channels: the output is [I, kh, kw, O].
  dilated = [(n - 1) * geometry.stride + 1 for n in geometry.out]
  padding = [
    (geometry.padding, k - 1 + d - size - geometry.padding)
    for k, d, size in zip(geometry.kernel, dilated, geometry.size)
  ]
  gradient = jax.lax.conv_general_dilated(
    x.transpose(3, 1, 2, 0),
    dy.transpose(1, 2, 0, 3),
    (1, 1),
    padding,
    rhs_dilation=(geometry.stride, geometry.stride),
    dimension_numbers=_DIMENSIONS,
  )
  return gradient.transpose(1, 2, 0, 3)


def _saves(geometry: _Geometry, dtype, channels: tuple[int, ...]) -> bool:
  """Returns whether winograd applies, is faster and is accurate enough."""
  fits = geometry.kernel == (4, 4) and geometry[3:] == (2, 1)
  even = all(side % 2 == 0 for side in geometry.size)
  # Rounding in its sums would be visible in 16 bits.
  return fits and even and min(channels) >= _WIDE and dtype.itemsize >= 4


def _is_pointwise(geometry: _Geometry) -> bool:
  """Returns whether the convolution is one matrix product over all pixels."""
  return geometry.kernel == (1, 1) and geometry[3:] == (1, 0)


def _product(x: Array, matrix: Array) -> Array:
  """Multiplies the channels of every pixel, `[N, H, W, I]`, by `[I, O]`."""
  y = x.reshape(-1, x.shape[3]) @ matrix
  return y.reshape(*x.shape[:3], matrix.shape[1])


def _fast_convolve(geometry: _Geometry, x: Array, kernel: Array) -> Array:
  if _is_pointwise(geometry):
    return _product(x, kernel[0, 0])
  if _saves(geometry, x.dtype, kernel.shape[2:]):
    return winograd.convolve(x, kernel)
  return _raw_convolve(geometry, x, kernel)


def _fast_input_gradient(
  geometry: _Geometry, dy: Array, kernel: Array
) -> Array:
  if _is_pointwise(geometry):
    return _product(dy, kernel[0, 0].T)
  if _saves(geometry, dy.dtype, kernel.shape[2:]):
    return winograd.input_gradient(dy, kernel)
  return _raw_input_gradient(geometry, dy, kernel)


def _fast_weight_gradient(geometry: _Geometry, x: Array, dy: Array) -> Array:
  if _is_pointwise(geometry):
    into, out = (a.reshape(-1, a.shape[3]) for a in (x, dy))
    return (into.T @ out)[None, None]
  if _saves(geometry, x.dtype, (x.shape[3], dy.shape[3])):
    return winograd.weight_gradient(x, dy)
  return _raw_weight_gradient(geometry, x, dy)


# sequential_vmap takes arrays only, hence one wrapped function per geometry.
@functools.cache
def _looped(function, geometry: _Geometry):
  return sequential_vmap(functools.partial(function, geometry))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _convolve(geometry, x, kernel):
  return _looped(_fast_convolve, geometry)(x, kernel)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _input_gradient(geometry, dy, kernel):
  return _looped(_fast_input_gradient, geometry)(dy, kernel)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _weight_gradient(geometry, x, dy):
  return _looped(_fast_weight_gradient, geometry)(x, dy)


_convolve.defvjp(
  lambda geometry, x, kernel: (_convolve(geometry, x, kernel), (x, kernel)),
  lambda geometry, saved, dy: (
    _input_gradient(geometry, dy, saved[1]),
    _weight_gradient(geometry, saved[0], dy),
  ),
)
_input_gradient.defvjp(
  lambda geometry, dy, kernel: (
    _input_gradient(geometry, dy, kernel),
    (dy, kernel),
  ),
  lambda geometry, saved, dx: (
    _convolve(geometry, dx, saved[1]),
    _weight_gradient(geometry, dx, saved[0]),
  ),
)
_weight_gradient.defvjp(
  lambda geometry, x, dy: (_weight_gradient(geometry, x, dy), (x, dy)),
  lambda geometry, saved, dkernel: (
    _input_gradient(geometry, saved[1], dkernel),
    _convolve(geometry, saved[0], dkernel),
  ),
)


def _check(x: Array, kernel: Array, channel_axis: int) -> None:
  chex.assert_rank([x, kernel], 4)
  chex.assert_type([x, kernel], float)
  if x.shape[3] != kernel.shape[channel_axis]:
    raise ValueError(
      f'x has {x.shape[3]} channels but the kernel {kernel.shape} takes '
      f'{kernel.shape[channel_axis]}'
    )


def _own_gradients(choice: bool | None) -> bool:
  return jax.default_backend() == 'cpu' if choice is None else choice


def convolve(
  x: Array,
  kernel: Array,
  *,
  stride: int = 1,
  padding: int = 0,
  own_gradients: bool | None = None,
) -> Array:
  """Convolves images (cross-correlation, as is usual for neural networks).

  Args:
    x: images, `[N, H, W, I]`, float.
    kernel: kernel, `[kh, kw, I, O]`, float.
    stride: step between windows in pixels, the same along both axes.
    padding: number of pixels of zeros on each of the four sides.
    own_gradients: whether to use the hand-written gradients instead of XLA's;
      None uses them on CPU only.

  Returns:
    Images, `[N, (H + 2 padding - kh) // stride + 1, ..., O]`.

  Raises:
    ValueError: if the channels do not match, or the image is smaller than the
      kernel.
    AssertionError: if ranks differ from these, or inputs are integers.
  """
  _check(x, kernel, channel_axis=2)
  size, window = x.shape[1:3], kernel.shape[:2]
  out = tuple((n + 2 * padding - k) // stride + 1 for n, k in zip(size, window))
  if min(out) < 1:
    raise ValueError(
      f'an image of {size} with padding {padding} is smaller than the kernel '
      f'of {window}'
    )
  geometry = _Geometry(size, out, window, stride, padding)
  function = _convolve if _own_gradients(own_gradients) else _raw_convolve
  return function(geometry, x, kernel)


def convolve_transpose(
  x: Array,
  kernel: Array,
  *,
  stride: int = 1,
  padding: int = 0,
  own_gradients: bool | None = None,
) -> Array:
  """Applies a transposed convolution: the input gradient of `convolve`.

  Args:
    x: images, `[N, H, W, I]`, float.
    kernel: kernel of the convolution that is transposed, `[kh, kw, O, I]`,
      float.
    stride: stride of that convolution, the factor by which the image grows.
    padding: padding of that convolution, the number of pixels cropped on each
      side.
    own_gradients: whether to use the hand-written gradients instead of XLA's;
      None uses them on CPU only.

  Returns:
    Images, `[N, (H - 1) stride + kh - 2 padding, ..., O]`.

  Raises:
    ValueError: if the channels do not match, or padding crops the whole image.
    AssertionError: if ranks differ from these, or inputs are integers.
  """
  _check(x, kernel, channel_axis=3)
  out, window = x.shape[1:3], kernel.shape[:2]
  size = tuple((n - 1) * stride + k - 2 * padding for n, k in zip(out, window))
  if min(size) < 1:
    raise ValueError(
      f'padding {padding} crops the whole output of an image of {out} with a '
      f'kernel of {window}'
    )
  geometry = _Geometry(size, out, window, stride, padding)
  own = _own_gradients(own_gradients)
  return (_input_gradient if own else _raw_input_gradient)(geometry, x, kernel)
