"""What no score can be computed from is refused, not scored.

A NaN in a comparison is False and drops out of a count: it would come out as
a score like any other. Values are looked at where there are any: under
jax.jit shapes and types alone are checked.
"""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array


class NonFiniteError(ValueError):
  """Numbers that no score is of."""


def is_traced(*arrays: Any) -> bool:
  """Whether any of these has no values yet, as under jax.jit."""
  return any(isinstance(x, jax.core.Tracer) for x in arrays)


def check_finite(**arrays: Array) -> None:
  """Refuses arrays, by name, with a NaN or an infinity in them.

  Raises:
    NotFinite: naming the array, and how many of its numbers are not finite.
  """
  for name, x in arrays.items():
    if is_traced(x):
      continue
    xp = np if isinstance(x, np.ndarray) else jnp
    bad = int(np.size(x) - xp.isfinite(x).sum())
    if bad:
      raise NonFiniteError(
        f'{name}: {bad} of {np.size(x)} numbers are not finite (NaN or '
        'infinite), of which there is no score'
      )


def check_feature_sets(*, least: int = 1, **sets: Array) -> None:
  """Refuses sets of examples, by name, that no score is of.

  Args:
    least: examples that each must have.
    **sets: `[n, ...]`, float.

  Raises:
    AssertionError: for integers, a scalar, or examples of other shapes than
      those of the first set.
    ValueError: for too few examples, examples of no numbers, or numbers that
      are not finite.
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
      raise ValueError(
        f'{name}: {len(x)} examples, must be at least {least} of them'
      )
    if not x.size:
      raise ValueError(f'{name}: examples of shape {x.shape[1:]} are empty')
  check_finite(**sets)


def check_score(what: str, value: Array, *sets: Array) -> None:
  """Refuses a score that came out as NaN or infinite.

  Args:
    what: the score.
    value: what was computed.
    *sets: that it was computed of.

  Raises:
    ValueError: with the largest of their numbers.
  """
  if is_traced(value) or bool(jnp.isfinite(value).all()):
    return
  largest = max(float(jnp.abs(jnp.asarray(x)).max()) for x in sets)
  raise ValueError(
    f'{what} is not finite: numbers as large as {largest:.3g} overflow '
    f'{jnp.result_type(value)}'
  )


def at_least_float32(x: Array) -> Array:
  """x in float32, where it is in less."""
  x = jnp.asarray(x)
  return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def power_of_two_scale(*sets: Array) -> Array:
  """A power of two that brings the largest number to [1/2, 1], or nearer.

  Multiplied by it, which rounds nothing, squares neither overflow nor vanish.

  Args:
    *sets: any arrays, in at least float32.

  Returns:
    Scalar, from 2^-120 to 2^120.
  """
  largest = jnp.stack([jnp.abs(x).max() for x in sets]).max()
  # In float32: newer JAX expands these later, where float64 may be off.
  small = jnp.clip(largest, 2.0**-120, 2.0**120).astype(jnp.float32)
  _, exponent = jnp.frexp(small)
  scale = jnp.ldexp(jnp.ones_like(small), -jnp.clip(exponent, -120, 120))
  return scale.astype(largest.dtype)
