"""The PyTorch side of toy.py: D2L's loop on one thread, timed on demand.

Started by toy.py in a Python that has PyTorch, not by hand. Its two updates are
those of the book, except that constants are created once instead of in every
iteration; batches are slices of a permutation.

Reference: https://d2l.ai/chapter_generative-adversarial-networks/gan.html
"""

import torch
import turns
from torch import nn

SIZE, BATCH = 1000, 8
ADAM = {'default': {}, 'fused': {'fused': True}}


class Loop:
  """D2L's training loop: networks, optimizers and data."""

  def __init__(self, adam: str):
    torch.manual_seed(0)
    a, b = torch.tensor([[1, 2], [-0.1, 0.5]]), torch.tensor([1.0, 2.0])
    self.data = torch.randn(SIZE, 2) @ a + b
    self.g = nn.Sequential(nn.Linear(2, 2))
    self.d = nn.Sequential(
      nn.Linear(2, 5),
      nn.Tanh(),
      nn.Linear(5, 3),
      nn.Tanh(),
      nn.Linear(3, 1),
    )
    for network in (self.g, self.d):
      for weight in network.parameters():
        nn.init.normal_(weight, 0, 0.02)
    optimizer = lambda network, rate: torch.optim.Adam(
      network.parameters(), lr=rate, **ADAM[adam]
    )
    self.d_optimizer = optimizer(self.d, 0.05)
    self.g_optimizer = optimizer(self.g, 0.005)
    self.loss = nn.BCEWithLogitsLoss(reduction='sum')
    self.ones, self.zeros = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)
    self.batches = []

  def step(self) -> None:
    """Updates each player once, on the same latents."""
    if not self.batches:
      self.batches = list(torch.randperm(SIZE).split(BATCH))
    real = self.data[self.batches.pop()]
    latents = torch.randn(BATCH, 2)

    self.d_optimizer.zero_grad()
    with torch.no_grad():
      fake = self.g(latents)
    d_loss = self.loss(self.d(real), self.ones)
    d_loss = (d_loss + self.loss(self.d(fake), self.zeros)) / 2
    d_loss.backward()
    self.d_optimizer.step()

    self.g_optimizer.zero_grad()
    g_loss = self.loss(self.d(self.g(latents)), self.ones)
    g_loss.backward()
    self.g_optimizer.step()


def main() -> None:
  """Serves requests until standard input ends."""
  torch.set_num_threads(1)
  loops = {adam: Loop(adam) for adam in ADAM}

  def work(adam: str, steps: int) -> None:
    for _ in range(steps):
      loops[adam].step()

  turns.serve({'version': torch.__version__}, work)


if __name__ == '__main__':
  main()
