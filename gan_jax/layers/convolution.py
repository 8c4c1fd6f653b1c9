"""Convolution and transposed convolution, with own gradients.

XLA's CPU backend runs some convolution gradients far below the speed of the
forward pass: the weight gradient of a transposed convolution 20 times slower,
and inside a scan that of any strided convolution 90 times slower. Hand-written
in one canonical form, they keep the speed of the forward pass. Convolution,
input gradient and weight gradient are bilinear, and the derivative of each
consists of the other two. Three `custom_vjp` functions that call one another
therefore give derivatives of every order at full speed (R1 needs the second).

Convolutions of one pixel are matrix products on CPU, and those of
`layers.winograd` take its algorithm.

Sound is an image of one row. A convolution in groups is one of XLA's on GPU and
TPU. On CPU, where XLA's gradients of it are 50 to 150 times slower, it is a loop
over the groups.

Under vmap over kernels (ensemble members) XLA would use a grouped convolution,
several times slower than a loop; here it is a loop.

On GPU they call XLA's convolutions in the forms that it maps to cuDNN without
transposing arrays; otherwise the weight gradient of a transposed convolution
would not be one. On TPU these functions are XLA's own convolutions and gradients.

On CPU and GPU, JAX does not support forward-mode differentiation (`jax.jvp`,
`jax.jacfwd`) of them, as for every `custom_vjp`; pass `own_gradients=False`, or
use the context `plain_convolutions`, which is also for programs that other
platforms run.

Images are NHWC, kernels HWIO, both floating point.
"""

import functools
from typing import Callable, ContextManager, NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax.custom_batching import sequential_vmap

from gan_jax.layers import winograd

Array = jax.Array
_DIMENSIONS = ('NHWC', 'HWIO', 'NHWC')
# Channels, in and out, at which winograd is faster on CPU. With 32, a step of
# digits would take 7 % less, and 2 seconds more to compile.
_WIDE = 64
# Stride and padding of convolutions that have an algorithm of their own.
_HALVING = ((2, 2), ((1, 1), (1, 1)))
_PLAIN = ((1, 1), ((0, 0), (0, 0)))
# Part of the key of jit's caches: functions are traced again for another value.
_plain = jax.make_user_context(False)
Stride = int | tuple[int, int]
Padding = int | tuple[tuple[int, int], tuple[int, int]]


class _Geometry(NamedTuple):
  """Geometry of a convolution [N, height, width, I] -> [N, out_h, out_w, O]."""

  size: tuple[int, int]  # height, width of the input
  out: tuple[int, int]
  kernel: tuple[int, int]
  stride: tuple[int, int]
  padding: tuple[tuple[int, int], tuple[int, int]]  # before and after, per axis


def _dilated(geometry: _Geometry) -> list[int]:
  """Returns the sides of the output, spread to the input's pixels."""
  return [(n - 1) * s + 1 for n, s in zip(geometry.out, geometry.stride)]


def _raw_convolve(geometry: _Geometry, x: Array, kernel: Array) -> Array:
  return jax.lax.conv_general_dilated(
    x,
    kernel,
    geometry.stride,
    geometry.padding,
    dimension_numbers=_DIMENSIONS,
  )


def _raw_input_gradient(geometry: _Geometry, dy: Array, kernel: Array) -> Array:
  low = [k - 1 - lo for k, (lo, _) in zip(geometry.kernel, geometry.padding)]
  padding = [
    (lo, size + k - 1 - d - lo)
    for lo, size, k, d in zip(
      low, geometry.size, geometry.kernel, _dilated(geometry)
    )
  ]
  return jax.lax.conv_general_dilated(
    dy,
    jnp.flip(kernel, (0, 1)).swapaxes(2, 3),
    (1, 1),
    padding,
    lhs_dilation=geometry.stride,
    dimension_numbers=_DIMENSIONS,
  )


def _raw_weight_gradient(geometry: _Geometry, x: Array, dy: Array) -> Array:
  # Examples act as channels: the output is [I, kh, kw, O].
  padding = [
    (lo, k - 1 + d - size - lo)
    for (lo, _), k, d, size in zip(
      geometry.padding, geometry.kernel, _dilated(geometry), geometry.size
    )
  ]
  gradient = jax.lax.conv_general_dilated(
    x.transpose(3, 1, 2, 0),
    dy.transpose(1, 2, 0, 3),
    (1, 1),
    padding,
    rhs_dilation=geometry.stride,
    dimension_numbers=_DIMENSIONS,
  )
  return gradient.transpose(1, 2, 0, 3)


def _gpu_weight_gradient(geometry: _Geometry, x: Array, dy: Array) -> Array:
  """Computes the weight gradient in the form of cuDNN's.

  XLA takes a convolution for a weight gradient only if dy is larger than the
  kernel. Otherwise it calls a forward convolution over examples as channels,
  for which it transposes x, dy and the result. Zeros around dy avoid that.
  """
  zeros = [
    (k - n) // 2 + 1 if k >= n and k > 1 else 0
    for k, n in zip(geometry.kernel, geometry.out)
  ]
  padding = tuple(
    (low + n * s, high + n * s)
    for (low, high), n, s in zip(geometry.padding, zeros, geometry.stride)
  )
  dy = jnp.pad(dy, ((0, 0), *((n, n) for n in zeros), (0, 0)))
  convolve = functools.partial(
    _raw_convolve, geometry._replace(padding=padding), x
  )
  shape = (*geometry.kernel, x.shape[3], dy.shape[3])
  kernel = jax.ShapeDtypeStruct(shape, x.dtype)
  return jax.linear_transpose(convolve, kernel)(dy)[0]


def _saves(geometry: _Geometry, dtype, channels: tuple[int, ...]) -> bool:
  """Returns whether winograd applies, is faster and is accurate enough."""
  fits = geometry.kernel == (4, 4) and geometry[3:] == _HALVING
  even = all(side % 2 == 0 for side in geometry.size)
  # Rounding in its sums would be visible in 16 bits.
  return fits and even and min(channels) >= _WIDE and dtype.itemsize >= 4


def _is_pointwise(geometry: _Geometry) -> bool:
  """Returns whether the convolution is one matrix product over all pixels."""
  return geometry.kernel == (1, 1) and geometry[3:] == _PLAIN


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


class _Triple(NamedTuple):
  """Three functions of a geometry and two arrays, each linear in both.

  Attributes:
    convolve: (geometry, x, kernel) -> y.
    input_gradient: (geometry, dy, kernel) -> dx, the transposed convolution.
    weight_gradient: (geometry, x, dy) -> dkernel.
  """

  convolve: Callable[[_Geometry, Array, Array], Array]
  input_gradient: Callable[[_Geometry, Array, Array], Array]
  weight_gradient: Callable[[_Geometry, Array, Array], Array]


def _close(raw: _Triple) -> _Triple:
  """Defines the gradients of each function by the other two."""
  convolve, input_gradient, weight_gradient = (
    jax.custom_vjp(function, nondiff_argnums=(0,)) for function in raw
  )

  def define(function, backward):
    function.defvjp(lambda g, a, b: (function(g, a, b), (a, b)), backward)

  define(
    convolve,
    lambda geometry, saved, dy: (
      input_gradient(geometry, dy, saved[1]),
      weight_gradient(geometry, saved[0], dy),
    ),
  )
  define(
    input_gradient,
    lambda geometry, saved, dx: (
      convolve(geometry, dx, saved[1]),
      weight_gradient(geometry, dx, saved[0]),
    ),
  )
  define(
    weight_gradient,
    lambda geometry, saved, dkernel: (
      input_gradient(geometry, saved[1], dkernel),
      convolve(geometry, saved[0], dkernel),
    ),
  )
  return _Triple(convolve, input_gradient, weight_gradient)


def _in_loop(function):
  """Returns the function, which is a loop under vmap."""
  return lambda geometry, a, b: _looped(function, geometry)(a, b)


_FAST = _close(
  _Triple(
    _in_loop(_fast_convolve),
    _in_loop(_fast_input_gradient),
    _in_loop(_fast_weight_gradient),
  )
)
_GPU = _close(_Triple(_raw_convolve, _raw_input_gradient, _gpu_weight_gradient))
_XLA = _Triple(_raw_convolve, _raw_input_gradient, _raw_weight_gradient)


def _check(x: Array, kernel: Array, channel_axis: int, groups: int = 1) -> None:
  chex.assert_rank([x, kernel], 4)
  chex.assert_type([x, kernel], float)
  if groups < 1 or x.shape[3] % groups or kernel.shape[3] % groups:
    raise ValueError(
      f'groups={groups}: must be at least 1 and divide the {x.shape[3]} '
      f'channels of x and the {kernel.shape[3]} of the output'
    )
  if x.shape[3] // groups != kernel.shape[channel_axis]:
    raise ValueError(
      f'x has {x.shape[3]} channels in {groups} group{"s" * (groups > 1)} but '
      f'the kernel {kernel.shape} takes {kernel.shape[channel_axis]}'
    )


def _per_axis(stride: Stride, padding: Padding):
  """Returns stride and padding for each axis."""
  if isinstance(stride, int):
    stride = (stride, stride)
  if isinstance(padding, int):
    padding = ((padding, padding),) * 2
  return stride, padding


def _convolve_groups(geometry: _Geometry, x: Array, kernel: Array, groups: int):
  """Convolves each group of channels by its own kernel."""
  apart = lambda a: jnp.stack(jnp.split(a, groups, axis=3))
  y = jax.vmap(functools.partial(_FAST.convolve, geometry))(
    apart(x), apart(kernel)
  )
  return jnp.moveaxis(y, 0, 3).reshape(*y.shape[1:4], -1)


def plain_convolutions() -> ContextManager[None]:
  """Returns a context in which layers trace as they do on GPU.

  Functions that are traced in it, by jax.jit, jax.export or jax.make_jaxpr,
  consist of XLA's own convolutions, whatever the platform: for programs that
  other platforms run, or other software reads, and for forward-mode
  differentiation on CPU. The results are the same up to rounding.

  Returns:
    The context manager: `with plain_convolutions(): ...`.
  """
  return _plain(True)


def is_plain() -> bool:
  """Returns whether the caller is in the context of plain_convolutions."""
  return _plain.value


def uses_own_gradients(choice: bool | None) -> bool:
  """Returns whether gradients are the hand-written ones.

  Args:
    choice: whether they are; None for those of CPU only, where the context of
      plain_convolutions does not replace them.
  """
  if choice is not None:
    return choice
  return jax.default_backend() == 'cpu' and not is_plain()


def traces_for_gpu() -> bool:
  """Returns whether layers may be traced in the forms that suit a GPU."""
  return jax.default_backend() == 'gpu' and not is_plain()


def _choose_triple(own_gradients: bool | None) -> _Triple:
  if uses_own_gradients(own_gradients):
    return _FAST
  return _GPU if own_gradients is None and traces_for_gpu() else _XLA


def convolve(
  x: Array,
  kernel: Array,
  *,
  stride: Stride = 1,
  padding: Padding = 0,
  groups: int = 1,
  own_gradients: bool | None = None,
) -> Array:
  """Convolves images (cross-correlation, as is usual for neural networks).

  Args:
    x: images, `[N, H, W, I]`, float.
    kernel: kernel, `[kh, kw, I / groups, O]`, float.
    stride: step between windows in pixels, or one for each axis.
    padding: number of pixels of zeros on each of the four sides, or
      ((top, bottom), (left, right)).
    groups: number of groups of channels, each of which has its own kernels.
    own_gradients: whether to use the hand-written gradients of CPU; False for
      those of XLA, None for those of the platform.

  Returns:
    Images, `[N, (H + 2 padding - kh) // stride + 1, ..., O]`.

  Raises:
    ValueError: if the channels do not match, groups does not divide them, or
      the image is smaller than the kernel.
    AssertionError: if ranks differ from these, or inputs are integers.
  """
  _check(x, kernel, channel_axis=2, groups=groups)
  stride, padding = _per_axis(stride, padding)
  size, window = x.shape[1:3], kernel.shape[:2]
  out = tuple(
    (n + sum(p) - k) // s + 1
    for n, k, s, p in zip(size, window, stride, padding)
  )
  if min(out) < 1:
    raise ValueError(
      f'an image of {size} with padding {padding} is smaller than the kernel '
      f'of {window}'
    )
  geometry = _Geometry(size, out, window, stride, padding)
  if groups > 1 and uses_own_gradients(own_gradients):
    return _convolve_groups(geometry, x, kernel, groups)
  if groups > 1:
    return jax.lax.conv_general_dilated(
      x,
      kernel,
      stride,
      padding,
      dimension_numbers=_DIMENSIONS,
      feature_group_count=groups,
    )
  return _choose_triple(own_gradients).convolve(geometry, x, kernel)


def convolve_transpose(
  x: Array,
  kernel: Array,
  *,
  stride: Stride = 1,
  padding: Padding = 0,
  own_gradients: bool | None = None,
) -> Array:
  """Applies a transposed convolution: the input gradient of `convolve`.

  Args:
    x: images, `[N, H, W, I]`, float.
    kernel: kernel of the convolution that is transposed, `[kh, kw, O, I]`,
      float.
    stride: stride of that convolution, the factor by which the image grows, or
      one for each axis.
    padding: padding of that convolution, the number of pixels cropped on each
      side, or ((top, bottom), (left, right)).
    own_gradients: whether to use the hand-written gradients of CPU; False for
      those of XLA, None for those of the platform.

  Returns:
    Images, `[N, (H - 1) stride + kh - 2 padding, ..., O]`.

  Raises:
    ValueError: if the channels do not match, or padding crops the whole image.
    AssertionError: if ranks differ from these, or inputs are integers.
  """
  _check(x, kernel, channel_axis=3)
  stride, padding = _per_axis(stride, padding)
  out, window = x.shape[1:3], kernel.shape[:2]
  size = tuple(
    (n - 1) * s + k - sum(p) for n, k, s, p in zip(out, window, stride, padding)
  )
  if min(size) < 1:
    raise ValueError(
      f'padding {padding} crops the whole output of an image of {out} with a '
      f'kernel of {window}'
    )
  geometry = _Geometry(size, out, window, stride, padding)
  transposed = _choose_triple(own_gradients).input_gradient
  return transposed(geometry, x, kernel)
