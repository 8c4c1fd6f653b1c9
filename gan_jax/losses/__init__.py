"""Adversarial losses: functions of logits, one value per logit.

A logit is the discriminator's output: larger means more real (for the
cross-entropy its sigmoid is the probability of real). Logits are floating
point, `[B]`, or `[B, h, w]` for a patch discriminator. No loss reduces; the
caller takes the mean. Values that overflow their type (squares, the
exponentials of f-GAN) are infinite. For finite logits up to half the largest
representable number, neither a loss nor its gradient is NaN.

  >>> import jax.numpy as jnp
  >>> logits = jnp.zeros(3)
  >>> cross_entropy_discriminator(logits, logits)
  Array([1.3862944, 1.3862944, 1.3862944], dtype=float32)

`LOSSES[name]` holds the losses of both players:

  name                                loss                            paper
  `minimax`                           Minimax GAN, saturating         Goodfellow et al., 2014
  `non_saturating`                    Non-saturating GAN              Goodfellow et al., 2014
  `least_squares`                     LSGAN                           Mao et al., 2017
  `hinge`                             Hinge loss (SNGAN, BigGAN)      Lim and Ye, 2017
  `wasserstein`                       WGAN                            Arjovsky et al., 2017
  `rpgan`                             Relativistic pairing GAN        Jolicoeur-Martineau, 2018
  `ragan`                             Relativistic average GAN        Jolicoeur-Martineau, 2018
  `ralsgan`                           Relativistic average LSGAN      Jolicoeur-Martineau, 2018
  `rahinge`                           Relativistic average hinge      Jolicoeur-Martineau, 2018
  `f_kl`                              f-GAN, KL                       Nowozin et al., 2016
  `f_reverse_kl`                      f-GAN, reverse KL               Nowozin et al., 2016
  `f_pearson`                         f-GAN, Pearson chi-squared      Nowozin et al., 2016
  `f_jensen_shannon`                  f-GAN, Jensen-Shannon           Nowozin et al., 2016
  `f_squared_hellinger`               f-GAN, squared Hellinger        Nowozin et al., 2016
  `f_kl_non_saturating`               f-GAN, KL; G non-saturating     Nowozin et al., 2016
  `f_reverse_kl_non_saturating`       reverse KL; non-saturating      Nowozin et al., 2016
  `f_pearson_non_saturating`          Pearson; non-saturating         Nowozin et al., 2016
  `f_jensen_shannon_non_saturating`   Jensen-Shannon; non-saturating  Nowozin et al., 2016
  `f_squared_hellinger_non_saturating` Hellinger; non-saturating       Nowozin et al., 2016
  `mmd_gaussian`                      MMD-GAN, Gaussian kernels       Li et al., 2017
  `mmd_rational_quadratic`            MMD-GAN, rational quadratic     Binkowski et al., 2018
  `dual_contrastive`                  Dual contrastive loss           Yu et al., 2021
  `feature_matching`                  Feature matching                Salimans et al., 2016

The class losses (classification.py) are added to these as penalties.

docs/losses.md lists their formulas. `FACTORIES[name]` builds the losses that
have options.
"""

from typing import Callable

from gan_jax.losses.base import AdversarialLoss, check_loss, player_loss
from gan_jax.losses.classification import (
  class_cross_entropy,
  contrastive_2c,
  data_to_data_cross_entropy,
  real_fake_class_discriminator,
  real_fake_class_generator,
  twin_classifier_discriminator,
  twin_classifier_generator,
)
from gan_jax.losses.cross_entropy import (
  cross_entropy_discriminator,
  minimax,
  minimax_generator,
  minimax_value,
  non_saturating,
  non_saturating_generator,
)
from gan_jax.losses.dual_contrastive_loss import (
  dual_contrastive,
  dual_contrastive_discriminator,
  dual_contrastive_generator,
)
from gan_jax.losses.f_divergence import (
  DIVERGENCES,
  SAFE_LOGIT,
  Divergence,
  f_gan,
  f_gan_discriminator,
  f_gan_generator,
  f_gan_non_saturating,
  f_gan_non_saturating_generator,
)
from gan_jax.losses.feature_matching_loss import (
  feature_matching,
  feature_matching_generator,
)
from gan_jax.losses.hinge_loss import hinge, hinge_discriminator
from gan_jax.losses.least_squares_loss import (
  least_squares,
  least_squares_discriminator,
  least_squares_generator,
)
from gan_jax.losses.mmd_loss import (
  gaussian_kernel,
  mmd,
  mmd_discriminator,
  mmd_gaussian,
  mmd_generator,
  mmd_rational_quadratic,
  mmd_witness,
  rational_quadratic_kernel,
)
from gan_jax.losses.relativistic_loss import (
  relativistic,
  relativistic_average,
  relativistic_average_discriminator,
  relativistic_average_generator,
  relativistic_average_hinge,
  relativistic_average_hinge_discriminator,
  relativistic_average_hinge_generator,
  relativistic_average_least_squares,
  relativistic_average_least_squares_discriminator,
  relativistic_average_least_squares_generator,
  relativistic_discriminator,
  relativistic_generator,
)
from gan_jax.losses.wasserstein_loss import (
  wasserstein,
  wasserstein_discriminator,
  wasserstein_generator,
)
from gan_jax.losses.wrappers import (
  smooth_labels,
  top_k,
  top_k_count,
  top_k_mask,
)

__all__ = [
  'AdversarialLoss',
  'DIVERGENCES',
  'Divergence',
  'FACTORIES',
  'LOSSES',
  'SAFE_LOGIT',
  'check_loss',
  'class_cross_entropy',
  'contrastive_2c',
  'cross_entropy_discriminator',
  'data_to_data_cross_entropy',
  'dual_contrastive',
  'dual_contrastive_discriminator',
  'dual_contrastive_generator',
  'f_gan',
  'f_gan_discriminator',
  'f_gan_generator',
  'f_gan_non_saturating',
  'f_gan_non_saturating_generator',
  'feature_matching',
  'feature_matching_generator',
  'gaussian_kernel',
  'hinge',
  'hinge_discriminator',
  'least_squares',
  'least_squares_discriminator',
  'least_squares_generator',
  'minimax',
  'minimax_generator',
  'minimax_value',
  'mmd',
  'mmd_discriminator',
  'mmd_gaussian',
  'mmd_generator',
  'mmd_rational_quadratic',
  'mmd_witness',
  'non_saturating',
  'non_saturating_generator',
  'player_loss',
  'rational_quadratic_kernel',
  'real_fake_class_discriminator',
  'real_fake_class_generator',
  'relativistic',
  'relativistic_average',
  'relativistic_average_discriminator',
  'relativistic_average_generator',
  'relativistic_average_hinge',
  'relativistic_average_hinge_discriminator',
  'relativistic_average_hinge_generator',
  'relativistic_average_least_squares',
  'relativistic_average_least_squares_discriminator',
  'relativistic_average_least_squares_generator',
  'relativistic_discriminator',
  'relativistic_generator',
  'smooth_labels',
  'top_k',
  'top_k_count',
  'top_k_mask',
  'twin_classifier_discriminator',
  'twin_classifier_generator',
  'wasserstein',
  'wasserstein_discriminator',
  'wasserstein_generator',
]

LOSSES: dict[str, AdversarialLoss] = {
  'minimax': minimax,
  'non_saturating': non_saturating,
  'least_squares': least_squares(),
  'hinge': hinge,
  'wasserstein': wasserstein,
  'rpgan': relativistic,
  'ragan': relativistic_average,
  'ralsgan': relativistic_average_least_squares,
  'rahinge': relativistic_average_hinge,
  **{f'f_{name}': f_gan(d) for name, d in DIVERGENCES.items()},
  **{
    f'f_{name}_non_saturating': f_gan_non_saturating(d)
    for name, d in DIVERGENCES.items()
  },
  'mmd_gaussian': mmd_gaussian(),
  'mmd_rational_quadratic': mmd_rational_quadratic(),
  'dual_contrastive': dual_contrastive,
  'feature_matching': feature_matching,
}

# Losses that have options: name -> function from the options to the losses.
FACTORIES: dict[str, Callable[..., AdversarialLoss]] = {
  'least_squares': least_squares,
  'mmd_gaussian': mmd_gaussian,
  'mmd_rational_quadratic': mmd_rational_quadratic,
}
