"""Two players that learn in turn, shared by the PyTorch sides."""

from typing import Callable

import torch
from torch import nn
from torch.nn import functional as F


def d_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
  """Computes D's mean cross-entropy from logits, in float32."""
  return F.softplus(-real.float()).mean() + F.softplus(fake.float()).mean()


def g_loss(fake: torch.Tensor) -> torch.Tensor:
  """Computes G's mean non-saturating cross-entropy from logits, in float32."""
  return F.softplus(-fake.float()).mean()


def float_tensors(network: nn.Module) -> list[torch.Tensor]:
  """Returns parameters and batch statistics."""
  tensors = network.state_dict().values()
  return [x for x in tensors if x.is_floating_point()]


def prepare_loss(
  loss: Callable[..., torch.Tensor], device: str, dtype: str, compiled: bool
) -> Callable[..., torch.Tensor]:
  """Prepares the loss of a player for a device.

  Args:
    loss: computes the loss.
    device: device of all tensors.
    dtype: 'float32', or 'bfloat16' for automatic mixed precision.
    compiled: whether to compile the loss.
  """
  precision = torch.autocast(
    device, dtype=torch.bfloat16, enabled=dtype == 'bfloat16'
  )
  return precision(torch.compile(loss) if compiled else loss)


class Players:
  """Both networks, each with a fused Adam.

  Attributes:
    parameters: number of parameters of both networks.
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
    """Updates D, then G.

    Args:
      d_loss: computes D's loss, without gradients through the fake samples.
      g_loss: computes G's loss.
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
