"""Options of what the discriminator sees all examples through.

Each augmentation has its own set of transforms and its own usual strength, so
that none of its options is shared.
"""

import dataclasses

from gan_jax.config.fields import Part, option

DIFF_AUGMENT_POLICY = ('color', 'translation', 'cutout')
ADA_POLICY = (
  'flip',
  'rotate90',
  'integer_translation',
  'scale',
  'rotate',
  'anisotropic_scale',
  'fractional_translation',
  'brightness',
  'contrast',
  'luma_flip',
  'hue',
  'saturation',
  'noise',
  'cutout',
)
# The transforms of the paper's final experiments.
ADA_DEFAULT = tuple(n for n in ADA_POLICY if n not in ('noise', 'cutout'))
AUGMENTS = ('none', 'diff_augment', 'ada')
AUGMENT_ALIASES = {
  'diffaug': 'diff_augment',
  'diffaugment': 'diff_augment',
  'diff_aug': 'diff_augment',
  'stylegan2_ada': 'ada',
}


@dataclasses.dataclass(frozen=True)
class DiffAugment:
  """Options of DiffAugment, of constant strength unless `target` is set.

  Attributes:
    policy: The transforms, some of DIFF_AUGMENT_POLICY.
    strength: Probability of each transform, in [0, 1]; the first one if it
      adapts.
    target: Mean sign of the real logits at which the strength is held, in
      [0, 1), as ADA does. 0 keeps the strength constant.
    speed: Examples in which the strength goes from 0 to 1 at the fastest.
    interval: Batches between changes of the strength.
  """

  policy: tuple[str, ...] = option(
    DIFF_AUGMENT_POLICY, entries=DIFF_AUGMENT_POLICY
  )
  strength: float = option(1.0, at_least=0, at_most=1)
  target: float = option(0.0, at_least=0, below=1)
  speed: int = option(500_000, at_least=1)
  interval: int = option(4, at_least=1)


@dataclasses.dataclass(frozen=True)
class ADA:
  """Options of the augmentation of StyleGAN2-ADA, whose strength adapts.

  Attributes:
    policy: The transforms, some of ADA_POLICY.
    strength: Probability of each transform at the first step, in [0, 1];
      constant if `target` is 0.
    target: Mean sign of the real logits at which the strength is held, in
      [0, 1). 0 keeps the strength constant.
    speed: Examples in which the strength goes from 0 to 1 at the fastest.
    interval: Batches between changes of the strength.
  """

  policy: tuple[str, ...] = option(ADA_DEFAULT, entries=ADA_POLICY)
  strength: float = option(0.0, at_least=0, at_most=1)
  target: float = option(0.6, at_least=0, below=1)
  speed: int = option(500_000, at_least=1)
  interval: int = option(4, at_least=1)


@dataclasses.dataclass(frozen=True)
class Augment(Part):
  """The augmentation of all that the discriminator sees.

  Attributes:
    name: One of AUGMENTS.
    diff_augment: Options of DiffAugment.
    ada: Options of StyleGAN2-ADA.
  """

  name: str = option('none', names=AUGMENTS, aliases=AUGMENT_ALIASES)
  diff_augment: DiffAugment = DiffAugment()
  ada: ADA = ADA()


@dataclasses.dataclass(frozen=True)
class InstanceNoise:
  """Gaussian noise on all that the discriminator sees.

  Attributes:
    sigma: Standard deviation. 0 turns the noise off.
  """

  sigma: float = option(0.0, at_least=0)
