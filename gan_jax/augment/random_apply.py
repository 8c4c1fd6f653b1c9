"""Applies transforms at random, keyed per example."""

from typing import Callable, Iterable, Mapping

import chex
import jax
import jax.numpy as jnp

from gan_jax import prng, tracing, validation

Array = jax.Array
Scalar = Array | float
Transform = Callable[[Array, Array], Array]
RandomDraws = Mapping[str, tuple[Array, Array]]


def check_augment(
  x: Array,
  keys: Array,
  strength: Scalar,
  policy: Iterable[str],
  allowed: tuple[str, ...],
) -> None:
  """Checks the arguments of an augmentation.

  Args:
    x: images, `[B, H, W, C]`, float.
    keys: typed keys, one per image, `[B]`.
    strength: probability of each transform, a scalar in [0, 1].
    policy: names of transforms.
    allowed: names that the policy may contain.

  Raises:
    AssertionError: if x has integers, the number of keys differs, or strength
      is not a scalar.
    ValueError: if x has another rank, the policy has an unknown name, or
      strength is out of range.
  """
  if x.ndim != 4:
    raise ValueError(f'augmentation is for images [B, H, W, C], not {x.shape}')
  chex.assert_type(x, float)
  chex.assert_shape(prng.typed_keys(keys), (x.shape[0],))
  _check_strength(strength)
  if not isinstance(policy, tuple | list):
    raise ValueError(
      f'policy={policy!r}: must be a tuple of names from {", ".join(allowed)}'
    )
  for name in policy:
    if name not in allowed:
      raise ValueError(
        validation.unknown_name_message(str(name), allowed, 'policy entry')
      )


def _check_strength(strength: Scalar) -> None:
  if not isinstance(strength, int | float) and not hasattr(strength, 'dtype'):
    raise ValueError(f'strength={strength!r}: must be a number')
  chex.assert_rank(strength, 0)
  if tracing.fails(lambda strength: 0 <= strength <= 1, strength):
    raise ValueError(f'strength={strength}: must be between 0 and 1')


def draw_random(key: Array, chances: Mapping[str, Scalar]) -> RandomDraws:
  """Draws, for each name, whether it is applied and four numbers U(0, 1).

  The position of a name is folded into the key: append names, never reorder
  them.
  """
  # Never 0, so that to_normal is finite; below 1, so that strength 1 means
  # always. A single call for all rows is quick to compile.
  draw = lambda row: jax.random.uniform(
    jax.random.fold_in(key, row), (5,), minval=2.0**-24
  )
  rows = jax.vmap(draw)(jnp.arange(len(chances)))
  return {
    name: (row[0] < chance, row[1:])
    for (name, chance), row in zip(chances.items(), rows)
  }


def to_normal(u: Array) -> Array:
  """Maps u ~ U(0, 1) to N(0, 1)."""
  return jnp.sqrt(2.0) * jax.scipy.special.erfinv(2 * u - 1)


def to_integer(u: Array, count: int) -> Array:
  """Maps u ~ U(0, 1) to a uniform integer in 0 .. count - 1."""
  return jnp.floor(u * count).astype(jnp.int32)


def apply_transforms(
  x: Array, draws: RandomDraws, changes: Mapping[str, Transform]
) -> Array:
  """Applies each transform in turn if its draw is on."""
  for name, change in changes.items():
    on, u = draws[name]
    x = jnp.where(on, change(x, u), x)
  return x


def per_image(function: Transform, x: Array, keys: Array) -> Array:
  """Vmaps over images and keys in at least float32; keeps the dtype."""
  x = jnp.asarray(x)
  precise = x.astype(jnp.promote_types(x.dtype, jnp.float32))
  keys = prng.typed_keys(keys)
  return jax.vmap(function)(precise, keys).astype(x.dtype)
