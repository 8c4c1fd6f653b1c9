"""Differentiable transforms of one image, with traceable parameters.

An image is `[H, W, C]`, float, in [-1, 1], with any number of channels. Results
are not clipped and keep the dtype. Color transforms leave the last of four
channels (alpha) unchanged. Geometry is in pixels, y down and x right.

Matrices `[3, 3]` are inverse maps: they take the position (y, x, 1) of a pixel
in the result to its position in the input, both relative to the image's
center. `compose` multiplies the matrices of several transforms into one, so
that the image is resampled only once.
"""

from typing import Callable

import chex
import jax
import jax.numpy as jnp

Array = jax.Array
Scalar = Array | float


def _check(x: Array) -> None:
  chex.assert_rank(x, 3)
  chex.assert_type(x, float)


def check_square(shape: tuple[int, ...]) -> None:
  """Checks that images are square, so that quarter turns keep their shape.

  Args:
    shape: shape of the images, `[..., H, W, C]`.

  Raises:
    ValueError: if H is not W.
  """
  if shape[-3] != shape[-2]:
    raise ValueError(
      f'rotate90 requires square images, not {tuple(shape)}: '
      "leave 'rotate90' out of the policy"
    )


# ----------------------------------------------------------- exact geometry


def flip(x: Array, on: Array | bool) -> Array:
  """Mirrors left and right if `on`. It is its own inverse."""
  _check(x)
  return jnp.where(on, x[:, ::-1], x)


def rotate90(x: Array, quarters: Array | int) -> Array:
  """Rotates counterclockwise by any integer number of quarter turns.

  Raises:
    ValueError: if the image is not square.
  """
  _check(x)
  check_square(x.shape)
  # Three selects cost less than jax.lax.switch, whose branches all run in vmap.
  quarters = quarters % 4
  x = jnp.where(quarters % 2 == 1, x.swapaxes(0, 1), x)
  x = jnp.where((quarters == 1) | (quarters == 2), x[::-1], x)
  return jnp.where(quarters >= 2, x[:, ::-1], x)


def _reflect(places: Array, size: int) -> Array:
  """Folds positions into [0, size - 1], about the centers of end pixels."""
  if size == 1:
    return jnp.zeros_like(places)
  period = 2 * (size - 1)
  places = places % period
  return jnp.minimum(places, period - places)


def translate_zero(x: Array, dy: Array | int, dx: Array | int) -> Array:
  """Shifts down and right by whole pixels, filling with zeros."""
  _check(x)
  for axis, shift in enumerate((dy, dx)):
    places = jnp.arange(x.shape[axis]) - shift
    inside = (places >= 0) & (places < x.shape[axis])
    moved = jnp.take(x, places, axis=axis, mode='clip')
    x = jnp.where(jnp.expand_dims(inside, (1 - axis, 2)), moved, 0)
  return x


def translate_reflect(x: Array, dy: Array | int, dx: Array | int) -> Array:
  """Shifts down and right by whole pixels, filling with the reflection."""
  _check(x)
  for axis, shift in enumerate((dy, dx)):
    places = _reflect(jnp.arange(x.shape[axis]) - shift, x.shape[axis])
    x = jnp.take(x, places, axis=axis, mode='clip')
  return x


# --------------------------------------------------------------- resampling


def _matrix(*rows: tuple[Scalar, Scalar, Scalar]) -> Array:
  entries = [jnp.asarray(entry, jnp.float32) for row in rows for entry in row]
  return jnp.stack([*entries, *map(jnp.float32, (0, 0, 1))]).reshape(3, 3)


def flip_matrix(on: Array | bool) -> Array:
  """Returns the matrix that mirrors left and right if `on`."""
  return _matrix((1, 0, 0), (0, jnp.where(on, -1, 1), 0))


def rotate90_matrix(quarters: Array | int) -> Array:
  """Returns the matrix of `rotate90`, without rounding."""
  cosine = jnp.array([1, 0, -1, 0])[quarters % 4]
  sine = jnp.array([0, 1, 0, -1])[quarters % 4]
  return _matrix((cosine, sine, 0), (-sine, cosine, 0))


def rotate_matrix(angle: Scalar) -> Array:
  """Returns the matrix of a counterclockwise rotation in radians."""
  cosine, sine = jnp.cos(angle), jnp.sin(angle)
  return _matrix((cosine, sine, 0), (-sine, cosine, 0))


def scale_matrix(y: Scalar, x: Scalar) -> Array:
  """Returns the matrix that enlarges each axis by a factor above 0."""
  return _matrix((1 / y, 0, 0), (0, 1 / x, 0))


def translate_matrix(dy: Scalar, dx: Scalar) -> Array:
  """Returns the matrix that shifts down and right, by any real numbers."""
  return _matrix((1, 0, -dy), (0, 1, -dx))


def compose(*matrices: Array) -> Array:
  """Composes transforms into one matrix.

  Args:
    *matrices: matrices `[3, 3]` in the order of application.

  Returns:
    Matrix of the whole transform, `[3, 3]`.
  """
  whole = jnp.eye(3)
  for matrix in matrices:
    chex.assert_shape(matrix, (3, 3))
    # In full precision: small errors in a pixel's position are visible.
    whole = jnp.matmul(whole, matrix, precision=jax.lax.Precision.HIGHEST)
  return whole


def affine(x: Array, matrix: Array) -> Array:
  """Resamples under an affine map: bilinear, with reflection at the border.

  The identity, mirrors, quarter turns and integer translations are exact.

  Args:
    x: image, `[H, W, C]`.
    matrix: inverse map (see the module), `[2, 3]` or `[3, 3]`; a third row is
      ignored.

  Returns:
    The resampled image, `[H, W, C]`.
  """
  _check(x)
  chex.assert_shape(matrix, ({2, 3}, 3))
  height, width, _ = x.shape
  rows = (jnp.arange(height) - (height - 1) / 2).reshape(-1, 1)
  columns = (jnp.arange(width) - (width - 1) / 2).reshape(1, -1)
  ends, shares = [], []
  for entries, size in zip(matrix, (height, width)):
    # Not a matrix product, which some devices compute in fewer bits.
    place = entries[0] * rows + entries[1] * columns + entries[2]
    place = _reflect(place + (size - 1) / 2, size)
    low = jnp.floor(place)
    low_index = low.astype(jnp.int32)
    ends.append((low_index, jnp.minimum(low_index + 1, size - 1)))
    shares.append(jnp.expand_dims(place - low, 2))
  (top, bottom), (left, right) = ends
  down, along = shares
  pixels = lambda *index: jnp.asarray(x).at[index].get(mode='clip')
  upper = pixels(top, left) * (1 - along) + pixels(top, right) * along
  lower = pixels(bottom, left) * (1 - along) + pixels(bottom, right) * along
  return (upper * (1 - down) + lower * down).astype(x.dtype)


# -------------------------------------------------------------------- color


def color_channels(x: Array) -> Array:
  """Returns the channels that color transforms change: alpha is left out."""
  return x[..., :3] if x.shape[-1] == 4 else x


def _recolor(x: Array, function: Callable[[Array], Array]) -> Array:
  _check(x)
  result = function(color_channels(x)).astype(x.dtype)
  if x.shape[-1] != 4:
    return result
  return jnp.concatenate([result, x[..., 3:]], axis=-1)


def _gray(x: Array) -> Array:
  return x.mean(axis=-1, keepdims=True)


def brightness(x: Array, shift: Scalar) -> Array:
  """Adds `shift` (black to white is 2); -shift is the inverse."""
  return _recolor(x, lambda color: color + shift)


def contrast(x: Array, factor: Scalar, *, center: Scalar = 0.0) -> Array:
  """Scales values about `center` by a factor; 1 / factor is the inverse.

  Args:
    x: image, `[H, W, C]`.
    factor: contrast factor, at least 0.
    center: fixed value: 0 in ADA, the mean of the image's color channels in
      DiffAugment.

  Returns:
    The changed image, `[H, W, C]`.
  """
  return _recolor(x, lambda color: (color - center) * factor + center)


def luma_flip(x: Array, on: Array | bool) -> Array:
  """Inverts luma if `on`, keeping hue and saturation.

  Reflects each pixel's color in the plane orthogonal to the gray axis. It is
  its own inverse, and the negative of an image with one channel.
  """
  flipped = lambda color: color - 2 * _gray(color)
  return jnp.where(on, _recolor(x, flipped), x)


def saturation(x: Array, factor: Scalar) -> Array:
  """Scales colors about gray by a factor; 1 / factor is the inverse.

  Gray is the mean of the three colors. Images that do not have 3 or 4 channels
  are returned unchanged.
  """
  _check(x)
  if x.shape[-1] not in (3, 4):
    return x
  return _recolor(x, lambda c: _gray(c) + (c - _gray(c)) * factor)


def hue(x: Array, angle: Scalar) -> Array:
  """Rotates colors about the gray axis by an angle in radians.

  -angle is the inverse. A third of a turn takes red to green, green to blue
  and blue to red. Images that do not have 3 or 4 channels are returned
  unchanged.
  """
  _check(x)
  if x.shape[-1] not in (3, 4):
    return x

  def turn(color):
    # Rodrigues' formula for the axis k = (1, 1, 1) / sqrt 3.
    gray = _gray(color)
    across = jnp.roll(color, 1, axis=-1) - jnp.roll(color, -1, axis=-1)
    across = across * (jnp.sin(angle) / jnp.sqrt(3.0))
    return gray + (color - gray) * jnp.cos(angle) + across

  return _recolor(x, turn)


# --------------------------------------------------------------- corruption


def noise(x: Array, key: Array, sigma: Scalar) -> Array:
  """Adds N(0, sigma^2) to each value."""
  _check(x)
  return (x + sigma * jax.random.normal(key, x.shape)).astype(x.dtype)


def cutout(
  x: Array,
  center_y: Scalar,
  center_x: Scalar,
  *,
  height: Scalar,
  width: Scalar,
) -> Array:
  """Zeroes the pixels whose center lies in a rectangle.

  Args:
    x: image, `[H, W, C]`.
    centre_y: distance in pixels of the rectangle's center from the upper
      border, in [0, H].
    centre_x: distance in pixels of its center from the left border, in [0, W].
    height: height of the rectangle in pixels; it may extend past the image.
    width: width of the rectangle in pixels; it may extend past the image.

  Returns:
    The changed image, `[H, W, C]`.
  """
  _check(x)
  rows = jnp.abs(jnp.arange(x.shape[0]) + 0.5 - center_y) < height / 2
  columns = jnp.abs(jnp.arange(x.shape[1]) + 0.5 - center_x) < width / 2
  hole = rows.reshape(-1, 1, 1) & columns.reshape(1, -1, 1)
  return jnp.where(hole, jnp.zeros_like(x), x)
