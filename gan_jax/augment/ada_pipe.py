"""The augmentation pipeline of StyleGAN2-ADA, keyed per example.

An augmentation is `(x, keys, *, strength, policy) -> x`. It takes images
`[B, H, W, C]` in [-1, 1], one typed key for each (`prng.per_example_keys`),
and a scalar strength in [0, 1], which may be traced: the probability,
independent for each image and transform, that the transform is applied.
Results are not clipped. Strength 0 returns the images bit for bit. Gradients
flow to the images.

Each transform draws from its own fold of the example's key, so that leaving
one out of the policy does not change the draws of the others. The order of the
policy does not matter.
"""

import functools
from typing import Iterable

import jax
import jax.numpy as jnp

from gan_jax.augment import transforms
from gan_jax.augment.random_apply import (
  RandomDraws,
  Transform,
  apply_transforms,
  check_augment,
  draw_random,
  per_image,
  to_integer,
  to_normal,
)

Array = jax.Array
Scalar = Array | float


def _ada_geometry(x: Array, draws: RandomDraws, policy: Iterable[str]) -> Array:
  """Applies the geometry of the policy, in the paper's order, as one map."""
  u = {name: numbers for name, (_, numbers) in draws.items()}
  eighths = jnp.array(x.shape[:2], jnp.float32) / 8
  whole = jnp.round((2 * u['integer_translation'][:2] - 1) * eighths)
  fraction = to_normal(u['fractional_translation'][:2]) * eighths
  scale = lambda name: 2 ** (to_normal(u[name][0]) / 5)
  size, wider = scale('scale'), scale('anisotropic_scale')
  angle = lambda name: jnp.pi * (2 * u[name][0] - 1)
  matrices = {
    'flip': transforms.flip_matrix(u['flip'][0] < 0.5),
    'rotate90': transforms.rotate90_matrix(to_integer(u['rotate90'][0], 4)),
    'integer_translation': transforms.translate_matrix(*whole),
    'scale': transforms.scale_matrix(size, size),
    'rotate': transforms.rotate_matrix(angle('rotate')),
    'anisotropic_scale': transforms.scale_matrix(1 / wider, wider),
    'rotate_after': transforms.rotate_matrix(angle('rotate_after')),
    'fractional_translation': transforms.translate_matrix(*fraction),
  }
  names = [n for n in matrices if n.removesuffix('_after') in policy]
  if not names:
    return x
  chosen = [jnp.where(draws[n][0], matrices[n], jnp.eye(3)) for n in names]
  changed = transforms.affine(x, transforms.compose(*chosen))
  return jnp.where(jnp.stack([draws[n][0] for n in names]).any(), changed, x)


def _ada_cutout(x: Array, u: Array) -> Array:
  height, width, _ = x.shape
  centers = u[0] * height, u[1] * width
  return transforms.cutout(x, *centers, height=height / 2, width=width / 2)


_ADA_COLOR: dict[str, Transform] = {  # in the paper's order
  'brightness': lambda x, u: transforms.brightness(x, to_normal(u[0]) / 5),
  'contrast': lambda x, u: transforms.contrast(x, 2 ** (to_normal(u[0]) / 2)),
  'luma_flip': lambda x, u: transforms.luma_flip(x, u[0] < 0.5),
  'hue': lambda x, u: transforms.hue(x, jnp.pi * (2 * u[0] - 1)),
  'saturation': lambda x, u: transforms.saturation(x, 2 ** to_normal(u[0])),
}
ADA_POLICY = (
  'flip',
  'rotate90',
  'integer_translation',
  'scale',
  'rotate',
  'anisotropic_scale',
  'fractional_translation',
  *_ADA_COLOR,
  'noise',
  'cutout',
)
# Transforms of the paper's final experiments.
ADA_DEFAULT = tuple(n for n in ADA_POLICY if n not in ('noise', 'cutout'))


def ada(
  x: Array,
  keys: Array,
  *,
  strength: Scalar,
  policy: tuple[str, ...] = ADA_DEFAULT,
) -> Array:
  """Applies the augmentations of StyleGAN2-ADA: geometry, color, corruption.

  Transforms in the order of application, sizes relative to the image's sides:
    flip: probability 1/2. rotate90: 0 to 3 quarter turns.
      integer_translation: U(-1/8, 1/8), rounded to pixels.
    scale: 2^N(0, 0.2^2). anisotropic_scale: x by 2^N(0, 0.2^2), y by its
      inverse.
    rotate: U(-pi, pi), before and after the anisotropic scaling, each with
      probability 1 - sqrt(1 - strength): at least one with `strength`.
    fractional_translation: N(0, 1/8^2). brightness: N(0, 0.2^2).
    contrast: factor 2^N(0, 0.5^2) about 0. luma_flip: probability 1/2.
    hue: U(-pi, pi). saturation: factor 2^N(0, 1). noise: sigma |N(0, 0.1^2)|.
    cutout: zeros in a rectangle of half of each side, centered anywhere.

  Flips, quarter turns and luma flips can be the identity: they change 1/2, 3/4
  and 1/2 of the images they are applied to.

  Differences from the paper: a single bilinear resampling instead of
  supersampling with wavelet filters, and no image-space filtering.

  Args:
    x: images, `[B, H, W, C]`, float, in [-1, 1].
    keys: typed keys, one per image, `[B]`.
    strength: probability p of the paper, scalar in [0, 1], adapted by
      `update_ada`.
    policy: names of transforms from ADA_POLICY; the default leaves out noise
      and cutout.

  Returns:
    Augmented images, `[B, H, W, C]`, of the dtype of x.

  Raises:
    AssertionError: if x has integers, the number of keys differs, or strength
      is not a scalar.
    ValueError: if x has another rank, the policy has an unknown entry or
      'rotate90' for images that are not square, or strength is not traced and
      out of range.

  References:
    Karras et al., Training Generative Adversarial Networks with Limited Data,
    https://arxiv.org/abs/2006.06676, 2020, appendix B.
  """
  check_augment(x, keys, strength, policy, ADA_POLICY)
  if 'rotate90' in policy:
    transforms.check_square(x.shape)
  return _ada(x, keys, strength, tuple(policy))


@functools.partial(jax.jit, static_argnums=3, inline=True)
def _ada(x, keys, strength, policy):
  each = 1 - jnp.sqrt(1 - jnp.clip(strength, 0, 1))
  chances = dict.fromkeys(ADA_POLICY, strength)
  chances |= {'rotate': each, 'rotate_after': each}

  def augment(x, key):
    draws = draw_random(key, chances)
    pixels = jax.random.fold_in(key, 1 << 16)  # Beyond any of the draws.
    sigma = lambda u: jnp.abs(to_normal(u[0])) / 10
    noise = lambda x, u: transforms.noise(x, pixels, sigma(u))
    changes = {**_ADA_COLOR, 'noise': noise, 'cutout': _ada_cutout}
    changes = {n: change for n, change in changes.items() if n in policy}
    return apply_transforms(_ada_geometry(x, draws, policy), draws, changes)

  return per_image(augment, x, keys)
