"""Rejects inputs for which a metric is undefined.

A comparison with NaN is False and silently drops out of a count, which would
give a plausible score. Values are checked if they are known: only shapes and
types of what jax.jit traces are.
"""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import tracing

Array = jax.Array


class NonFiniteError(ValueError):
  """Raised when an input contains NaN or infinity."""


def check_finite(**arrays: Array) -> None:
  """Checks that arrays, given by name, are finite.

  Raises:
    NonFiniteError: if an array has a NaN or an infinity; the message has its
      name and the number of such entries.
  """
  for name, x in arrays.items():
    if tracing.is_traced(x):
      continue
    with jax.ensure_compile_time_eval():
      count = np.isfinite(x).sum() if isinstance(x, np.ndarray) else _finite(x)
      bad = int(np.size(x) - count)
    if bad:
      raise NonFiniteError(
        f'{name}: {bad} of {np.size(x)} numbers are not finite (NaN or '
        'infinite), so that no score is defined'
      )


@jax.jit
def _finite(x):
  return jnp.isfinite(x).sum()


def check_feature_sets(*, least: int = 1, **sets: Array) -> None:
  """Checks that sets of examples, given by name, can be scored.

  Args:
    least: minimum number of examples in each set.
    **sets: sets of examples by name, `[n, ...]`, float.

  Raises:
    AssertionError: if a set is a scalar or has integers, or example shapes
      differ between sets.
    ValueError: if a set has too few examples, examples without elements, or
      numbers that are not finite.
  """
  for name, x in sets.items():
    chex.assert_type(x, float)
    if not np.ndim(x):
      raise AssertionError(f'{name} is a scalar, must be [n, ...]')
  shapes = [x.shape[1:] for x in sets.values()]
  if len(set(shapes)) > 1:
    raise AssertionError(f'{" and ".join(sets)}: examples of shapes {shapes}')
  for name, x in sets.items():
    if len(x) < least:
      raise ValueError(f'{name}: {len(x)} examples, must be at least {least}')
    if not x.size:
      raise ValueError(f'{name}: examples of shape {x.shape[1:]} are empty')
  check_finite(**sets)


def check_score(what: str, value: Array, *sets: Array) -> None:
  """Checks that a computed score is finite.

  Args:
    what: name of the score.
    value: the computed score.
    *sets: inputs of the score.

  Raises:
    ValueError: if the score is not finite; the message has the largest
      absolute value of the inputs.
  """
  if not tracing.fails(lambda x: np.isfinite(x).all(), value):
    return
  largest = max(float(np.abs(np.asarray(x)).max()) for x in sets)
  raise ValueError(
    f'{what} is not finite: numbers as large as {largest:.3g} overflow '
    f'{jnp.result_type(value)}'
  )


def at_least_float32(x: Array) -> Array:
  """Casts x to at least float32."""
  x = jnp.asarray(x)
  return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def power_of_two_scale(*sets: Array) -> Array:
  """Returns a power of two that scales the largest number to about [1/2, 1].

  Scaling by it is exact, and keeps squares from overflowing or vanishing.

  Args:
    *sets: arrays of any shapes, in at least float32.

  Returns:
    Scalar, from 2^-120 to 2^120.
  """
  largest = jnp.stack([jnp.abs(x).max() for x in sets]).max()
  # In float32: newer JAX lowers these later, when float64 may be disabled.
  small = jnp.clip(largest, 2.0**-120, 2.0**120).astype(jnp.float32)
  _, exponent = jnp.frexp(small)
  scale = jnp.ldexp(jnp.ones_like(small), -jnp.clip(exponent, -120, 120))
  return scale.astype(largest.dtype)


def result_type(*sets: Array) -> jnp.dtype:
  """Returns the type of a score of sets: at least float32."""
  return jnp.promote_types(jnp.result_type(*sets), jnp.float32)


def near_origin(*sets: Array) -> list[Array]:
  """Shifts sets of examples together, so that they are near the origin.

  In float32, examples at 1e7 deviations from the origin lose what distinguishes
  them as soon as they are squared or projected. The shift is a multiple of a
  power of two about as large as the spread: it is exact for float32 examples,
  and 0 for examples that are near the origin already.

  Args:
    *sets: sets of examples, `[n, ...]`, not empty, with examples of one shape.

  Returns:
    The sets in at least float32, shifted in float64 by one vector.
  """
  kinds = tuple(result_type(x) for x in sets)
  with jax.enable_x64(True):
    return _shift_together(kinds, sets)


@functools.partial(jax.jit, static_argnums=0)
def _shift_together(kinds, sets):
  # Powers of two scale without rounding, and keep the largest in float32.
  wide = [x.astype(jnp.float64) for x in sets]
  unit = power_of_two_scale(*wide)
  low, high = (
    reduce(jnp.stack([reduce(x * unit, axis=0) for x in wide]), axis=0)
    for reduce in (jnp.min, jnp.max)
  )
  spread = jnp.maximum(high - low, 2.0**-40)
  _, exponent = jnp.frexp(spread.astype(jnp.float32))
  step = jnp.ldexp(jnp.ones_like(spread, jnp.float32), exponent)
  step = step.astype(jnp.float64)
  shift = jnp.round((low + high) / 2 / step) * step / unit
  moved = [x - shift[None] for x in wide]
  return [x.astype(kind) for x, kind in zip(moved, kinds)]
