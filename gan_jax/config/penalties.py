"""Facts about the penalties, and their options.

`gan_jax.training` makes the terms of the losses. This module holds what the
rules of a config need to know, so that a config is checked without JAX.
"""

import dataclasses
from typing import NamedTuple

from gan_jax.config.augment import ADA_POLICY
from gan_jax.config.fields import option

_NO_CLASSES = ('features', 'reconstructions')


class PenaltyFacts(NamedTuple):
  """Properties of a penalty.

  Attributes:
    player: Whose loss it is added to, 'discriminator' or 'generator'.
    coupled: Whether it mixes the examples of a batch.
    per_example: Whether it needs each output to depend on its own input alone
      (a gradient, or a difference of two logits of one example), which batch
      norm in that player breaks.
    wants: What the discriminator must return beside logits: 'features',
      'reconstructions', or class heads, names in
      layers.conditioning.CLASS_HEADS.
  """

  player: str
  coupled: bool = False
  per_example: bool = True
  wants: tuple[str, ...] = ()

  @property
  def class_heads(self) -> tuple[str, ...]:
    """Class heads that the discriminator must have; () unless of classes."""
    return tuple(name for name in self.wants if name not in _NO_CLASSES)


_D, _G = 'discriminator', 'generator'
PENALTIES: dict[str, PenaltyFacts] = {
  'r1': PenaltyFacts(_D),
  'r2': PenaltyFacts(_D),
  'zero_centered': PenaltyFacts(_D),
  'wgan_gp': PenaltyFacts(_D),
  'wgan_lp': PenaltyFacts(_D),
  'max_gp': PenaltyFacts(_D, coupled=True),
  'dragan': PenaltyFacts(_D, coupled=True),
  'lecam': PenaltyFacts(_D, coupled=True, per_example=False),
  'bcr': PenaltyFacts(_D),
  'zcr': PenaltyFacts(_D),
  'zcr_generator': PenaltyFacts(_G, per_example=False),
  'path_length': PenaltyFacts(_G, coupled=True),
  'mode_seeking': PenaltyFacts(_G, per_example=False),
  'orthogonal': PenaltyFacts(_D, per_example=False),
  'orthogonal_generator': PenaltyFacts(_G, per_example=False),
  'feature_matching': PenaltyFacts(
    _G, coupled=True, per_example=False, wants=('features',)
  ),
  'reconstruction': PenaltyFacts(
    _D, per_example=False, wants=('reconstructions',)
  ),
  'acgan': PenaltyFacts(_D, per_example=False, wants=('class_logits',)),
  'acgan_generator': PenaltyFacts(
    _G, per_example=False, wants=('class_logits',)
  ),
  'reacgan': PenaltyFacts(
    _D, coupled=True, per_example=False, wants=('embedding',)
  ),
  'reacgan_generator': PenaltyFacts(
    _G, coupled=True, per_example=False, wants=('embedding',)
  ),
  'contragan': PenaltyFacts(
    _D, coupled=True, per_example=False, wants=('embedding',)
  ),
  'contragan_generator': PenaltyFacts(
    _G, coupled=True, per_example=False, wants=('embedding',)
  ),
  'tacgan': PenaltyFacts(
    _D, per_example=False, wants=('class_logits', 'twin_class_logits')
  ),
  'tacgan_generator': PenaltyFacts(
    _G, per_example=False, wants=('class_logits', 'twin_class_logits')
  ),
  'adcgan': PenaltyFacts(
    _D, per_example=False, wants=('real_fake_class_logits',)
  ),
  'adcgan_generator': PenaltyFacts(
    _G, per_example=False, wants=('real_fake_class_logits',)
  ),
}

# Other names of one penalty each.
PENALTY_ALIASES = {
  'r1_penalty': 'r1',
  'r2_penalty': 'r2',
  '0_gp': 'zero_centered',
  'zero_gp': 'zero_centered',
  'zero_centred': 'zero_centered',
  'wgan_gp_one_sided': 'wgan_lp',
  'gp_one_sided': 'wgan_lp',
  'max_gradient': 'max_gp',
  'maxgp': 'max_gp',
  'dragan_gp': 'dragan',
  'lecam_gan': 'lecam',
  'ppl': 'path_length',
  'path_length_regularization': 'path_length',
  'msgan': 'mode_seeking',
  'fm': 'feature_matching',
  'ac_gan': 'acgan',
  'd2d_ce': 'reacgan',
  '2c': 'contragan',
  'tac_gan': 'tacgan',
  'adc_gan': 'adcgan',
}

_GRADIENT_PENALTIES = (
  'set penalties.wgan_gp.weight=10 for WGAN-GP, penalties.r1.weight for R1, '
  'or penalties.dragan.weight=10 for DRAGAN'
)
# Names that stand for several penalties.
PENALTY_POINTERS = {
  'gp': _GRADIENT_PENALTIES,
  'gradient_penalty': _GRADIENT_PENALTIES,
  'r1_r2': 'set penalties.r1.weight and penalties.r2.weight',
  'icr': (
    'set penalties.bcr.weight, penalties.zcr.weight and '
    'penalties.zcr_generator.weight'
  ),
}


@dataclasses.dataclass(frozen=True)
class Penalty:
  """Options of a penalty, shared by all.

  Attributes:
    weight: Factor on the penalty in the player's loss. 0 leaves it out.
    every: Computes the penalty at every n-th step, n times as large (lazy
      regularization).
  """

  weight: float = option(0.0, at_least=0)
  every: int = option(1, at_least=1)


@dataclasses.dataclass(frozen=True)
class WGANGP(Penalty):
  """Options of the gradient penalties of WGAN-GP and WGAN-LP.

  Attributes:
    target: Norm of the gradient at which the penalty is 0.
  """

  target: float = option(1.0, at_least=0)


@dataclasses.dataclass(frozen=True)
class DRAGAN(Penalty):
  """Options of the gradient penalty of DRAGAN.

  Attributes:
    scale: Size of the perturbation, in standard deviations of the data.
    target: Norm of the gradient at which the penalty is 0.
  """

  scale: float = option(0.5, at_least=0)
  target: float = option(1.0, at_least=0)


@dataclasses.dataclass(frozen=True)
class Averaged(Penalty):
  """Options of the penalties that keep a moving average.

  Attributes:
    decay: Decay of the average per step, in [0, 1].
  """

  decay: float = option(0.99, at_least=0, at_most=1)


@dataclasses.dataclass(frozen=True)
class PathLength(Penalty):
  """Options of path length regularization.

  Attributes:
    decay: Decay of the moving average of lengths per step, in [0, 1].
    batch_stride: Every n-th generated example of a batch is used; 2 for half of
      them, as StyleGAN2's authors do.
  """

  decay: float = option(0.99, at_least=0, at_most=1)
  batch_stride: int = option(1, at_least=1)


@dataclasses.dataclass(frozen=True)
class BCR(Penalty):
  """Options of balanced consistency regularization.

  Attributes:
    policy: The augmentations, some of augment.ADA_POLICY.
  """

  policy: tuple[str, ...] = option(
    ('flip', 'integer_translation'), entries=ADA_POLICY
  )


@dataclasses.dataclass(frozen=True)
class ZCR(Penalty):
  """Options of latent consistency regularization.

  Attributes:
    sigma: Standard deviation of the noise on the latents.
  """

  sigma: float = option(0.03, at_least=0)


@dataclasses.dataclass(frozen=True)
class ModeSeeking(Penalty):
  """Options of the mode-seeking term.

  Attributes:
    epsilon: Added to the denominator.
  """

  epsilon: float = option(1e-5, at_least=0)


@dataclasses.dataclass(frozen=True)
class ACGAN(Penalty):
  """Options of the class loss of AC-GAN's discriminator.

  Attributes:
    fakes: Whether it includes generated examples, as in the paper. That harms
      training.
  """

  fakes: bool = option(False)


@dataclasses.dataclass(frozen=True)
class ReACGAN(Penalty):
  """Options of the data-to-data cross-entropy.

  Attributes:
    margin: Cosine to the class from which an example is not drawn to it, in
      [0, 1]; others push it away from a cosine of 1 - margin on.
    temperature: Divisor of the cosines.
  """

  margin: float = option(0.98, at_least=0, at_most=1)
  temperature: float = option(0.5, above=0)


@dataclasses.dataclass(frozen=True)
class ContraGAN(Penalty):
  """Options of the conditional contrastive loss.

  Attributes:
    temperature: Divisor of the cosines.
  """

  temperature: float = option(1.0, above=0)


@dataclasses.dataclass(frozen=True)
class Penalties:
  """All penalties, one section for each; those of weight 0 are left out.

  Attributes:
    r1: R1, the squared gradient at real examples, halved.
    r2: R2, the same at generated examples.
    zero_centered: The same between real and generated examples.
    wgan_gp: Gradient penalty of WGAN-GP.
    wgan_lp: Its one-sided form, WGAN-LP.
    max_gp: Largest gradient of the batch (MaxGP).
    dragan: Gradient penalty around real examples (DRAGAN).
    lecam: LeCam regularization.
    bcr: Balanced consistency regularization of the discriminator.
    zcr: Latent consistency regularization of the discriminator.
    zcr_generator: Latent diversity term of the generator.
    path_length: Path length regularization of StyleGAN2.
    mode_seeking: Mode-seeking term of the generator.
    orthogonal: Orthogonal regularization of the discriminator.
    orthogonal_generator: Orthogonal regularization of the generator.
    feature_matching: Feature matching term of the generator.
    reconstruction: Error of the discriminator's decoders on real examples.
    acgan: Class loss of AC-GAN's discriminator.
    acgan_generator: Class loss of AC-GAN's generator.
    reacgan: Data-to-data cross-entropy of the discriminator (ReACGAN).
    reacgan_generator: The same of the generator.
    contragan: Conditional contrastive loss of the discriminator (ContraGAN).
    contragan_generator: The same of the generator.
    tacgan: Class losses of TAC-GAN's discriminator.
    tacgan_generator: Class losses of TAC-GAN's generator.
    adcgan: Class loss of ADC-GAN's discriminator.
    adcgan_generator: Class loss of ADC-GAN's generator.
  """

  r1: Penalty = Penalty()
  r2: Penalty = Penalty()
  zero_centered: Penalty = Penalty()
  wgan_gp: WGANGP = WGANGP()
  wgan_lp: WGANGP = WGANGP()
  max_gp: Penalty = Penalty()
  dragan: DRAGAN = DRAGAN()
  lecam: Averaged = Averaged()
  bcr: BCR = BCR()
  zcr: ZCR = ZCR()
  zcr_generator: ZCR = ZCR()
  path_length: PathLength = PathLength()
  mode_seeking: ModeSeeking = ModeSeeking()
  orthogonal: Penalty = Penalty()
  orthogonal_generator: Penalty = Penalty()
  feature_matching: Penalty = Penalty()
  reconstruction: Penalty = Penalty()
  acgan: ACGAN = ACGAN()
  acgan_generator: Penalty = Penalty()
  reacgan: ReACGAN = ReACGAN()
  reacgan_generator: ReACGAN = ReACGAN()
  contragan: ContraGAN = ContraGAN()
  contragan_generator: ContraGAN = ContraGAN()
  tacgan: Penalty = Penalty()
  tacgan_generator: Penalty = Penalty()
  adcgan: Penalty = Penalty()
  adcgan_generator: Penalty = Penalty()
