"""DiffAugment: color, translation and cutout, keyed per example.

All transforms draw from folds of the key of their image.

  >>> import jax.numpy as jnp
  >>> keys = jax.random.split(jax.random.key(0), 2)
  >>> diff_augment(jnp.zeros((2, 8, 8, 3)), keys, policy=('cutout',)).shape
  (2, 8, 8, 3)
"""

import functools

import jax

from gan_jax.augment import transforms
from gan_jax.augment.random_apply import (
  Transform,
  apply_transforms,
  check_augment,
  draw_random,
  per_image,
  to_integer,
)

Array = jax.Array
Scalar = Array | float


def _diff_contrast(x: Array, u: Array) -> Array:
  mean = transforms.color_channels(x).mean()
  return transforms.contrast(x, u[0] + 0.5, center=mean)


def _diff_translation(x: Array, u: Array) -> Array:
  most = [(size + 4) // 8 for size in x.shape[:2]]
  dy, dx = [to_integer(v, 2 * limit + 1) - limit for v, limit in zip(u, most)]
  return transforms.translate_zero(x, dy, dx)


def _diff_cutout(x: Array, u: Array) -> Array:
  height, width = holes = [(size + 1) // 2 for size in x.shape[:2]]
  # Centers are such that the hole covers whole pixels.
  centers = [
    to_integer(v, size + 1 - hole % 2) + hole % 2 / 2
    for v, size, hole in zip(u, x.shape, holes)
  ]
  return transforms.cutout(x, *centers, height=height, width=width)


_DIFF_AUGMENT: dict[str, dict[str, Transform]] = {
  'color': {
    'brightness': lambda x, u: transforms.brightness(x, u[0] - 0.5),
    'saturation': lambda x, u: transforms.saturation(x, 2 * u[0]),
    'contrast': _diff_contrast,
  },
  'translation': {'translation': _diff_translation},
  'cutout': {'cutout': _diff_cutout},
}
DIFF_AUGMENT_POLICY = tuple(_DIFF_AUGMENT)


def diff_augment(
  x: Array,
  keys: Array,
  *,
  strength: Scalar = 1.0,
  policy: tuple[str, ...] = DIFF_AUGMENT_POLICY,
) -> Array:
  """Applies DiffAugment: color, translation and cutout of every image.

  Entries of the policy in the order of application:
    color: brightness + U(-0.5, 0.5); saturation times U(0, 2) about the mean
      of the channels; contrast times U(0.5, 1.5) about the image's mean
      (three transforms, each applied independently).
    translation: up to 1/8 of each side (rounded), filled with zeros.
    cutout: zeros in a rectangle of half of each side, centered anywhere.

  Args:
    x: images, `[B, H, W, C]`, float, in [-1, 1].
    keys: typed keys, one per image, `[B]`.
    strength: probability of each transform, scalar in [0, 1]; the paper's is 1.
    policy: names of transforms from DIFF_AUGMENT_POLICY.

  Returns:
    Augmented images, `[B, H, W, C]`, of the dtype of x.

  Raises:
    AssertionError: if x has integers, the number of keys differs, or strength
      is not a scalar.
    ValueError: if x has another rank, the policy has an unknown entry, or
      strength is not traced and out of range.

  References:
    Zhao et al., Differentiable Augmentation for Data-Efficient GAN Training,
    https://arxiv.org/abs/2006.10738, 2020, section 4.
  """
  check_augment(x, keys, strength, policy, DIFF_AUGMENT_POLICY)
  return _diff_augment(x, keys, strength, tuple(policy))


@functools.partial(jax.jit, static_argnums=3, inline=True)
def _diff_augment(x, keys, strength, policy):
  names = [name for entry in _DIFF_AUGMENT.values() for name in entry]
  chances = dict.fromkeys(names, strength)

  def augment(x, key):
    draws = draw_random(key, chances)
    for entry, changes in _DIFF_AUGMENT.items():
      if entry in policy:
        x = apply_transforms(x, draws, changes)
    return x

  return per_image(augment, x, keys)
