"""Interpolates between latents, styles or weights of classes.

Arrays are `[..., D]`; an interpolation adds a first axis of T points.
"""

from typing import Callable

import chex
import jax
import jax.numpy as jnp

Array = jax.Array
Interpolation = Callable[[Array, Array, Array], Array]

_PARALLEL = 1e-4  # sine of an angle below which an arc is a line


def lerp(start: Array, end: Array, t: Array) -> Array:
  """Interpolates linearly: (1 - t) start + t end.

  Between normal latents of many dimensions, the norm in the middle is 0.71 of
  theirs, which no drawn latents have: use slerp for them. Use lerp for styles,
  for uniform latents and for weights of classes.

  Args:
    start: first points, `[..., D]`, float.
    end: last points, `[..., D]`.
    t: places between them, `[T]`, from 0 to 1.

  Returns:
    `[T, ..., D]`.
  """
  chex.assert_equal_shape([start, end])
  chex.assert_rank(t, 1)
  start, end = jnp.asarray(start)[None], jnp.asarray(end)[None]
  t = jnp.reshape(t, (-1, *[1] * (start.ndim - 1)))
  return (1 - t) * start + t * end


def slerp(start: Array, end: Array, t: Array) -> Array:
  """Interpolates direction and length: along an arc, with a linear radius.

  (sin((1 - t) a) u + sin(t a) v) / sin(a), for the unit vectors u and v and the
  angle a between them, times (1 - t) |start| + t |end|. All lengths on the way
  lie between those of the two ends, as those of normal latents do. Ends in the
  same or in opposite directions are joined by a line.

  Args:
    start: first points, `[..., D]`, float.
    end: last points, `[..., D]`.
    t: places between them, `[T]`, from 0 to 1.

  Returns:
    `[T, ..., D]`.

  References:
    Shoemake, Animating Rotation with Quaternion Curves,
    https://doi.org/10.1145/325334.325242, 1985. White, Sampling Generative
    Networks, https://arxiv.org/abs/1609.04468, 2016, section 2.1.
  """
  chex.assert_equal_shape([start, end])
  chex.assert_rank(t, 1)
  line = lerp(start, end, t)
  start, end = jnp.asarray(start)[None], jnp.asarray(end)[None]
  norm = lambda x: jnp.linalg.norm(x, axis=-1, keepdims=True)
  unit = lambda x: x / jnp.maximum(norm(x), 1e-12)
  u, v = unit(start), unit(end)
  cosine = (u * v).sum(axis=-1, keepdims=True)
  # The sine from the part of v across u: arccos alone is inexact near 0.
  sine = norm(v - cosine * u)
  angle = jnp.arctan2(sine, cosine)
  s = jnp.reshape(t, (-1, *[1] * (start.ndim - 1)))
  is_line = sine < _PARALLEL
  below = jnp.where(is_line, 1.0, sine)
  arc = (jnp.sin((1 - s) * angle) * u + jnp.sin(s * angle) * v) / below
  curved = arc * ((1 - s) * norm(start) + s * norm(end))
  return jnp.where(is_line, line, curved)


def closed_walk(
  keyframes: Array, frames: int, interpolate: Interpolation = slerp
) -> Array:
  """Interpolates from each keyframe to the next, and from the last to the first.

  A film of these frames repeats without a seam: each keyframe is there once,
  and the frame after the last one is the first.

  Args:
    keyframes: points on the way, `[K, ..., D]`, float.
    frames: frames from one keyframe to the next, at least 1.
    interpolate: lerp or slerp.

  Returns:
    `[K * frames, ..., D]`; the keyframes are every `frames`-th of them.

  Raises:
    ValueError: if `frames` is below 1.
  """
  if frames < 1:
    raise ValueError(f'frames={frames}: must be at least 1')
  keyframes = jnp.asarray(keyframes)
  t = jnp.arange(frames) / frames
  way = interpolate(keyframes, jnp.roll(keyframes, -1, axis=0), t)
  return way.swapaxes(0, 1).reshape(-1, *keyframes.shape[1:])
