"""What the PyTorch sides share: two players that learn in turn."""

from typing import Callable

import torch
from torch import nn
from torch.nn import functional as F


def d_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
  """D's cross-entropy, a mean in float32, of logits."""
  return F.softplus(-real.float()).mean() + F.softplus(fake.float()).mean()


def g_loss(fake: torch.Tensor) -> torch.Tensor:
  """G's non-saturating cross-entropy, a mean in float32, of logits."""
  return F.softplus(-fake.float()).mean()


class Players:
  """Both networks and their fused Adam.

  Attributes:
    parameters: number of trained numbers in both networks.
  """

  def __init__(
    self,
    generator: nn.Module,
    discriminator: nn.Module,
    lr: float,
    betas: tuple[float, float],
  ):
    self.g, self.d = generator, discriminator
    self._g_optimizer, self._d_optimizer = (
      torch.optim.Adam(n.parameters(), lr=lr, betas=betas, fused=True)
      for n in (generator, discriminator)
    )
    both = (generator, discriminator)
    self.parameters = sum(x.numel() for n in both for x in n.parameters())

  def step(
    self,
    d_loss: Callable[[], torch.Tensor],
    g_loss: Callable[[], torch.Tensor],
  ) -> None:
    """An update of D, then one of G.

    Args:
      d_loss: D's loss, of fake samples without gradients.
      g_loss: G's.
    """
    self._update(self._d_optimizer, d_loss)
    # The G step needs no gradients of D's weights.
    self.d.requires_grad_(False)
    self._update(self._g_optimizer, g_loss)
    self.d.requires_grad_(True)

  def _update(self, optimizer, loss) -> None:
    value = loss()
    optimizer.zero_grad(set_to_none=True)
    value.backward()
    optimizer.step()
