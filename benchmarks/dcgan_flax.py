"""The DCGAN of gan_jax.models.dcgan at 32 x 32, built from Flax layers only.

A user of Flax would write it like this: the convolutions and their gradients
are XLA's. dcgan_step.py times it.
"""

import flax.linen as nn
import jax.numpy as jnp

normal = nn.initializers.normal(0.02)


class Generator(nn.Module):
  """Maps latents `[B, Z]` to images `[B, 32, 32, channels]`."""

  width: int
  channels: int

  @nn.compact
  def __call__(self, x, label=None, *, train):
    del label
    x = nn.Dense(64 * self.width, use_bias=False, kernel_init=normal)(x)
    x = x.reshape(-1, 4, 4, 4 * self.width)
    for features in (2 * self.width, self.width, self.channels):
      norm = nn.BatchNorm(use_running_average=not train, momentum=0.9)
      x = nn.ConvTranspose(
        features,
        (4, 4),
        (2, 2),
        use_bias=features == self.channels,
        kernel_init=normal,
      )(nn.relu(norm(x)))
    return jnp.tanh(x)


class Discriminator(nn.Module):
  """Maps images to logits `[B]`."""

  width: int

  @nn.compact
  def __call__(self, x, label=None, *, train):
    del label
    for stage in range(3):
      x = nn.Conv(
        self.width * 2**stage,
        (4, 4),
        (2, 2),
        padding=1,
        use_bias=stage == 0,
        kernel_init=normal,
      )(x)
      if stage:
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
      x = nn.leaky_relu(x, 0.2)
    x = x.reshape(x.shape[0], -1)
    return nn.Dense(1, kernel_init=normal)(x)[:, 0]
