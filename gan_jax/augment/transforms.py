"""Transforms of one image, differentiable, with traced parameters.

An image is `[H, W, C]`, float, in [-1, 1], of any number of channels; results
are not clipped and keep the dtype. Colour transforms leave the last of four
channels (alpha) alone. Geometry counts pixels, y down and x right.

Matrices `[3, 3]` are inverse maps: of the place (y, x, 1) of a pixel of the
result to the place in the image that it shows, both counted from the image's
centre. Those of several transforms make one by `compose`, so that the image
is resampled once.
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
  """Refuses to turn an image that would change its shape.

  Args:
    shape: `[..., H, W, C]`.

  Raises:
    ValueError: where H is not W.
  """
  if shape[-3] != shape[-2]:
    raise ValueError(
      f'rotate90 turns square images, not {tuple(shape)}: '
      "leave 'rotate90' out of the policy"
    )


# ----------------------------------------------------------- exact geometry


def flip(x: Array, on: Array | bool) -> Array:
  """Mirrors left and right where `on`; its own inverse."""
  _check(x)
  return jnp.where(on, x[:, ::-1], x)


def rotate90(x: Array, quarters: Array | int) -> Array:
  """Turns counter-clockwise by quarters of a turn, any integer.

  Raises:
    ValueError: for an image that is not square.
  """
  _check(x)
  check_square(x.shape)
  # Three selects cost less than jax.lax.switch, which vmap runs in full.
  quarters = quarters % 4
  x = jnp.where(quarters % 2 == 1, x.swapaxes(0, 1), x)
  x = jnp.where((quarters == 1) | (quarters == 2), x[::-1], x)
  return jnp.where(quarters >= 2, x[:, ::-1], x)


def _reflect(places: Array, size: int) -> Array:
  """Folds places into [0, size - 1], about the centres of the end pixels."""
  if size == 1:
    return jnp.zeros_like(places)
  period = 2 * (size - 1)
  places = places % period
  return jnp.minimum(places, period - places)


def translate_zero(x: Array, dy: Array | int, dx: Array | int) -> Array:
  """Moves down and right by whole pixels; zeros come in from outside."""
  _check(x)
  for axis, shift in enumerate((dy, dx)):
    places = jnp.arange(x.shape[axis]) - shift
    inside = (places >= 0) & (places < x.shape[axis])
    moved = jnp.take(x, places, axis=axis, mode='clip')
    x = jnp.where(jnp.expand_dims(inside, (1 - axis, 2)), moved, 0)
  return x


def translate_reflect(x: Array, dy: Array | int, dx: Array | int) -> Array:
  """Moves down and right by whole pixels; the image's reflection comes in."""
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
  """Matrix that mirrors left and right where `on`."""
  return _matrix((1, 0, 0), (0, jnp.where(on, -1, 1), 0))


def rotate90_matrix(quarters: Array | int) -> Array:
  """Matrix of a turn as rotate90 does it, without rounding."""
  cosine = jnp.array([1, 0, -1, 0])[quarters % 4]
  sine = jnp.array([0, 1, 0, -1])[quarters % 4]
  return _matrix((cosine, sine, 0), (-sine, cosine, 0))


def rotate_matrix(angle: Scalar) -> Array:
  """Matrix of a counter-clockwise turn about the centre, in radians."""
  cosine, sine = jnp.cos(angle), jnp.sin(angle)
  return _matrix((cosine, sine, 0), (-sine, cosine, 0))


def scale_matrix(y: Scalar, x: Scalar) -> Array:
  """Matrix that enlarges by factors along each axis, both above 0."""
  return _matrix((1 / y, 0, 0), (0, 1 / x, 0))


def translate_matrix(dy: Scalar, dx: Scalar) -> Array:
  """Matrix that moves down and right, by fractions of a pixel too."""
  return _matrix((1, 0, -dy), (0, 1, -dx))


def compose(*matrices: Array) -> Array:
  """Matrix that does as the given ones do, one after the other.

  Args:
    *matrices: `[3, 3]` each, the first applied first.

  Returns:
    `[3, 3]`.
  """
  whole = jnp.eye(3)
  for matrix in matrices:
    chex.assert_shape(matrix, (3, 3))
    # In full precision: half a digit of a pixel's place is seen.
    whole = jnp.matmul(whole, matrix, precision=jax.lax.Precision.HIGHEST)
  return whole


def affine(x: Array, matrix: Array) -> Array:
  """Resamples under an affine map: bilinear, reflected at the border.

  The identity, mirrors, quarter turns and integer translations are exact.

  Args:
    x: `[H, W, C]`.
    matrix: `[2, 3]` or `[3, 3]`, the inverse map (see the module); the last
      of three rows is not read.

  Returns:
    `[H, W, C]`.
  """
  _check(x)
  chex.assert_shape(matrix, ({2, 3}, 3))
  height, width, _ = x.shape
  rows = (jnp.arange(height) - (height - 1) / 2).reshape(-1, 1)
  columns = (jnp.arange(width) - (width - 1) / 2).reshape(1, -1)
  ends, shares = [], []
  for entries, size in zip(matrix, (height, width)):
    # Sums, not a matrix product, which some devices round to fewer bits.
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


# ------------------------------------------------------------------- colour


def color_channels(x: Array) -> Array:
  """The channels that colour transforms act on: the first three of four."""
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
  """Adds `shift` (black to white is 2); -shift undoes it."""
  return _recolor(x, lambda colour: colour + shift)


def contrast(x: Array, factor: Scalar, *, centre: Scalar = 0.0) -> Array:
  """Moves values away from `centre` by a factor; 1 / factor undoes it.

  Args:
    x: `[H, W, C]`.
    factor: at least 0.
    centre: the value that stays: 0 in ADA, the mean of the image's colour
      channels in DiffAugment.

  Returns:
    `[H, W, C]`.
  """
  return _recolor(x, lambda colour: (colour - centre) * factor + centre)


def luma_flip(x: Array, on: Array | bool) -> Array:
  """Turns light to dark where `on`, hue and saturation kept.

  Reflects each pixel's colour in the plane across the grey axis; its own
  inverse, and the negative of an image of one channel.
  """
  flipped = lambda colour: colour - 2 * _gray(colour)
  return jnp.where(on, _recolor(x, flipped), x)


def saturation(x: Array, factor: Scalar) -> Array:
  """Moves colours away from grey by a factor; 1 / factor undoes it.

  Grey is the mean of the three colours; images of other than 3 or 4 channels
  stay as they are.
  """
  _check(x)
  if x.shape[-1] not in (3, 4):
    return x
  return _recolor(x, lambda c: _gray(c) + (c - _gray(c)) * factor)


def hue(x: Array, angle: Scalar) -> Array:
  """Turns colours about the grey axis by radians; -angle undoes it.

  Images of other than 3 or 4 channels stay as they are. A third of a turn
  takes red to green, green to blue and blue to red.
  """
  _check(x)
  if x.shape[-1] not in (3, 4):
    return x

  def turn(colour):
    # Rodrigues' formula for the axis k = (1, 1, 1) / sqrt 3.
    grey = _gray(colour)
    across = jnp.roll(colour, 1, axis=-1) - jnp.roll(colour, -1, axis=-1)
    across = across * (jnp.sin(angle) / jnp.sqrt(3.0))
    return grey + (colour - grey) * jnp.cos(angle) + across

  return _recolor(x, turn)


# --------------------------------------------------------------- corruption


def noise(x: Array, key: Array, sigma: Scalar) -> Array:
  """Adds N(0, sigma^2) to each value."""
  _check(x)
  return (x + sigma * jax.random.normal(key, x.shape)).astype(x.dtype)


def cutout(
  x: Array,
  centre_y: Scalar,
  centre_x: Scalar,
  *,
  height: Scalar,
  width: Scalar,
) -> Array:
  """Zeroes the pixels whose centre lies in a rectangle.

  Args:
    x: `[H, W, C]`.
    centre_y: in pixels from the upper border, in [0, H]: 0 is the border.
    centre_x: likewise from the left border, in [0, W].
    height: of the rectangle in pixels; it may stick out of the image.
    width: likewise.

  Returns:
    `[H, W, C]`.
  """
  _check(x)
  rows = jnp.abs(jnp.arange(x.shape[0]) + 0.5 - centre_y) < height / 2
  columns = jnp.abs(jnp.arange(x.shape[1]) + 0.5 - centre_x) < width / 2
  hole = rows.reshape(-1, 1, 1) & columns.reshape(1, -1, 1)
  return jnp.where(hole, jnp.zeros_like(x), x)
