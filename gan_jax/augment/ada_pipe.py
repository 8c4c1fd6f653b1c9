"""Augmentations of batches for the discriminator, keyed per example.

An augmentation is `(x, keys, *, strength, policy) -> x`: images
`[B, H, W, C]` in [-1, 1] (results are not clipped), one typed key for each
(`prng.per_example_keys`), and a scalar strength in [0, 1], which may be
traced: the probability, for each image and transform by itself, that the
transform is applied. Strength 0 gives the images back bit for bit. Gradients
flow to the images.

Each transform draws from its own fold of the example's key, so that leaving
one out of the policy changes no other's draws. Its order has no meaning.

  >>> keys = jax.random.split(jax.random.key(0), 2)
  >>> diff_augment(jnp.zeros((2, 8, 8, 3)), keys, policy=('cutout',)).shape
  (2, 8, 8, 3)
"""

import difflib
from typing import Callable, Iterable, Mapping

import chex
import jax
import jax.numpy as jnp

from gan_jax.augment import transforms

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
  if x.ndim != 4:
    raise ValueError(f'augmentation is for images [B, H, W, C], not {x.shape}')
  chex.assert_type(x, float)
  chex.assert_shape(keys, (x.shape[0],))
  _check_strength(strength)
  if not isinstance(policy, tuple | list):
    raise ValueError(
      f'policy={policy!r}: must be a tuple of {", ".join(allowed)}'
    )
  for name in policy:
    if name not in allowed:
      near = difflib.get_close_matches(str(name), allowed, n=1)
      hint = f' Did you mean {near[0]!r}?' if near else ''
      raise ValueError(
        f'unknown policy entry {name!r} in {policy!r}.{hint} '
        f'Allowed: a tuple of {", ".join(allowed)}'
      )


def _check_strength(strength: Scalar) -> None:
  if not isinstance(strength, int | float) and not hasattr(strength, 'dtype'):
    raise ValueError(f'strength={strength!r}: must be a number')
  chex.assert_rank(strength, 0)
  if isinstance(strength, jax.core.Tracer):
    return
  if not 0 <= strength <= 1:
    raise ValueError(f'strength={strength}: must be between 0 and 1')


def draw_random(key: Array, chances: Mapping[str, Scalar]) -> RandomDraws:
  """For each name: whether it is applied, and four numbers U(0, 1).

  A name's place is what is folded into the key: append, never reorder.
  """
  # Never 0, so that _normal is finite, and below 1, so that strength 1 means
  # always. One call for all rows is quick to compile.
  draw = lambda row: jax.random.uniform(
    jax.random.fold_in(key, row), (5,), minval=2.0**-24
  )
  rows = jax.vmap(draw)(jnp.arange(len(chances)))
  return {
    name: (row[0] < chance, row[1:])
    for (name, chance), row in zip(chances.items(), rows)
  }


def to_normal(u: Array) -> Array:
  return jnp.sqrt(2.0) * jax.scipy.special.erfinv(2 * u - 1)


def to_integer(u: Array, count: int) -> Array:
  """Uniform in 0 .. count - 1."""
  return jnp.floor(u * count).astype(jnp.int32)


def apply_transforms(
  x: Array, draws: RandomDraws, changes: Mapping[str, Transform]
) -> Array:
  for name, change in changes.items():
    on, u = draws[name]
    x = jnp.where(on, change(x, u), x)
  return x


def per_image(function: Transform, x: Array, keys: Array) -> Array:
  """Vmaps over images and keys; arithmetic in float32, the dtype kept."""
  x = jnp.asarray(x)
  precise = x.astype(jnp.promote_types(x.dtype, jnp.float32))
  return jax.vmap(function)(precise, keys).astype(x.dtype)


# --------------------------------------------------------------- DiffAugment


def _diff_contrast(x: Array, u: Array) -> Array:
  mean = transforms.color_channels(x).mean()
  return transforms.contrast(x, u[0] + 0.5, centre=mean)


def _diff_translation(x: Array, u: Array) -> Array:
  most = [(size + 4) // 8 for size in x.shape[:2]]
  dy, dx = [to_integer(v, 2 * limit + 1) - limit for v, limit in zip(u, most)]
  return transforms.translate_zero(x, dy, dx)


def _diff_cutout(x: Array, u: Array) -> Array:
  height, width = holes = [(size + 1) // 2 for size in x.shape[:2]]
  # At centres such that the hole is of whole pixels.
  centres = [
    to_integer(v, size + 1 - hole % 2) + hole % 2 / 2
    for v, size, hole in zip(u, x.shape, holes)
  ]
  return transforms.cutout(x, *centres, height=height, width=width)


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
  """DiffAugment: colour, translation and cutout of every image.

  The policy's entries, applied in this order:
    color: brightness + U(-0.5, 0.5); saturation times U(0, 2) about the mean
      of the channels; contrast times U(0.5, 1.5) about the image's mean
      (three transforms, each applied or not by itself).
    translation: up to 1/8 of each side (rounded), zeros from outside.
    cutout: zeros in a rectangle of half of each side, centred anywhere.

  Args:
    x: `[B, H, W, C]`, float, in [-1, 1].
    keys: `[B]` typed keys.
    strength: scalar in [0, 1], the probability of each; the paper's is 1.
    policy: some of DIFF_AUGMENT_POLICY.

  Returns:
    `[B, H, W, C]`, of the dtype of x.

  Raises:
    AssertionError: for integers, another number of keys, or a strength that
      is no scalar.
    ValueError: for an array of other rank, an unknown policy entry, or a
      strength out of range where it is not traced.

  References:
    Zhao et al., Differentiable Augmentation for Data-Efficient GAN Training,
    https://arxiv.org/abs/2006.10738, 2020, section 4.
  """
  check_augment(x, keys, strength, policy, DIFF_AUGMENT_POLICY)
  names = [name for entry in _DIFF_AUGMENT.values() for name in entry]
  chances = dict.fromkeys(names, strength)

  def augment(x, key):
    draws = draw_random(key, chances)
    for entry, changes in _DIFF_AUGMENT.items():
      if entry in policy:
        x = apply_transforms(x, draws, changes)
    return x

  return per_image(augment, x, keys)


# ----------------------------------------------------------------------- ADA


def _ada_geometry(x: Array, draws: RandomDraws, policy: Iterable[str]) -> Array:
  """All of the geometry in the policy, in the paper's order, as one map."""
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
  centres = u[0] * height, u[1] * width
  return transforms.cutout(x, *centres, height=height / 2, width=width / 2)


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
# What the paper's final experiments apply.
ADA_DEFAULT = tuple(n for n in ADA_POLICY if n not in ('noise', 'cutout'))


def ada(
  x: Array,
  keys: Array,
  *,
  strength: Scalar,
  policy: tuple[str, ...] = ADA_DEFAULT,
) -> Array:
  """The augmentations of StyleGAN2-ADA: geometry, colour, corruption.

  In this order, sizes relative to the image's sides:
    flip: or not. rotate90: 0 to 3 quarters of a turn. integer_translation:
      U(-1/8, 1/8), rounded to pixels.
    scale: 2^N(0, 0.2^2). anisotropic_scale: the same of x, 1 over it of y.
    rotate: U(-pi, pi), before the anisotropic scaling and after it, each with
      probability 1 - sqrt(1 - strength): at least one with `strength`.
    fractional_translation: N(0, 1/8^2). brightness: N(0, 0.2^2).
    contrast: times 2^N(0, 0.5^2) about 0. luma_flip: or not.
    hue: U(-pi, pi). saturation: times 2^N(0, 1). noise: sigma |N(0, 0.1^2)|.
    cutout: zeros in a rectangle of half of each side, centred anywhere.

  Flips, quarter turns and luma flips may come out as doing nothing: they
  change 1/2, 3/4 and 1/2 of the images they are applied to.

  What differs from the paper: one bilinear resampling in place of its
  supersampling through wavelet filters, and no filters of image frequencies.

  Args:
    x: `[B, H, W, C]`, float, in [-1, 1].
    keys: `[B]` typed keys.
    strength: scalar in [0, 1], the paper's p, which `adaptive` controls.
    policy: some of ADA_POLICY; the default leaves out noise and cutout.

  Returns:
    `[B, H, W, C]`, of the dtype of x.

  Raises:
    AssertionError: for integers, another number of keys, or a strength that
      is no scalar.
    ValueError: for other ranks, unknown entries, 'rotate90' not square, or a
      strength out of range where it is not traced.

  References:
    Karras et al., Training Generative Adversarial Networks with Limited Data,
    https://arxiv.org/abs/2006.06676, 2020, appendix B.
  """
  check_augment(x, keys, strength, policy, ADA_POLICY)
  if 'rotate90' in policy:
    transforms.check_square(x.shape)
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


AUGMENTS = {'diff_augment': diff_augment, 'ada': ada}
