"""Two-dimensional distributions known exactly: a Gaussian, a ring, a grid.

References:
  Zhang et al., Dive into Deep Learning, chapter on generative adversarial
  networks, https://d2l.ai, 2023 (the Gaussian).
  Lin et al., PacGAN, https://arxiv.org/abs/1712.04086, 2018, section 4.1 (the
  mixtures).
"""

from typing import NamedTuple

import numpy as np

from gan_jax.data.array_source import ArraySource

_FARTHEST = 1e18  # the squares of larger values overflow float32


class Gaussian(NamedTuple):
  """Distribution of x = u A + b with u ~ N(0, I).

  Attributes:
    mean: b, `[d]`.
    covariance: A'A, `[d, d]`.
  """

  mean: np.ndarray
  covariance: np.ndarray

  def sample(self, size: int, seed: int) -> np.ndarray:
    """Samples `[size, d]` float32."""
    noise = np.random.default_rng(seed).normal(size=(size, len(self.mean)))
    root = np.linalg.cholesky(self.covariance).T
    return (noise @ root + self.mean).astype(np.float32)


class Mixture(NamedTuple):
  """Mixture of isotropic Gaussians with equal weights.

  Attributes:
    centers: means of the Gaussians, `[modes, d]`.
    sigma: standard deviation of each coordinate around its mean.
  """

  centers: np.ndarray
  sigma: float

  def sample(self, size: int, seed: int) -> np.ndarray:
    """Samples `[size, d]` float32."""
    rng = np.random.default_rng(seed)
    modes = rng.integers(len(self.centers), size=size)
    noise = rng.normal(size=(size, self.centers.shape[1]))
    return (self.centers[modes] + self.sigma * noise).astype(np.float32)


def _draw(distribution, split: str, size: int, seed: int) -> ArraySource:
  if size < 1:
    raise ValueError(f'size={size}: must be at least 1')
  if seed < 0:
    raise ValueError(f'seed={seed}: must be at least 0')
  # The splits are independent samples.
  x = distribution.sample(size, [seed, ('train', 'test').index(split)])
  return ArraySource(x, distribution=distribution)


def _check_mixture(of: str, count: int, sigma: float, **lengths: float) -> None:
  if count < 1:
    raise ValueError(f'{of}={count}: a mixture needs at least 1 Gaussian')
  if not 0 <= sigma < _FARTHEST:
    raise ValueError(
      f'sigma={sigma}: must be at least 0 and less than {_FARTHEST:g}'
    )
  for name, value in lengths.items():
    if not np.abs(value) < _FARTHEST:
      raise ValueError(
        f'{name}={value}: magnitude must be less than {_FARTHEST:g}'
      )


def gaussian(split: str, *, size: int = 1000, seed: int = 0) -> ArraySource:
  """Samples the Gaussian of D2L: A = [[1, 2], [-0.1, 0.5]], b = [1, 2].

  Args:
    split: 'train' or 'test', two independent samples.
    size: number of points.
    seed: seed of the samples.

  Returns:
    `[size, 2]` float32.

  Raises:
    ValueError: if an argument is out of range.
  """
  a = np.array([[1, 2], [-0.1, 0.5]])
  distribution = Gaussian(mean=np.array([1.0, 2.0]), covariance=a.T @ a)
  return _draw(distribution, split, size, seed)


def ring(
  split: str,
  *,
  size: int = 100_000,
  modes: int = 8,
  radius: float = 1.0,
  sigma: float = 0.01,
  seed: int = 0,
) -> ArraySource:
  """Samples Gaussians evenly spaced on a circle, by default as in PacGAN.

  Args:
    split: 'train' or 'test', two independent samples.
    size: number of points.
    modes: number of Gaussians.
    radius: radius of the circle.
    sigma: standard deviation of each Gaussian.
    seed: seed of the samples.

  Returns:
    `[size, 2]` float32.

  Raises:
    ValueError: if an argument is out of range.
  """
  _check_mixture('modes', modes, sigma, radius=radius)
  angles = 2 * np.pi * np.arange(modes) / modes
  centers = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
  return _draw(Mixture(centers, sigma), split, size, seed)


def grid(
  split: str,
  *,
  size: int = 100_000,
  side: int = 5,
  spacing: float = 2.0,
  sigma: float = 0.05,
  seed: int = 0,
) -> ArraySource:
  """Samples Gaussians on a square grid around 0, by default as in PacGAN.

  Args:
    split: 'train' or 'test', two independent samples.
    size: number of points.
    side: number of Gaussians along each side.
    spacing: distance between neighbors.
    sigma: standard deviation of each Gaussian.
    seed: seed of the samples.

  Returns:
    `[size, 2]` float32.

  Raises:
    ValueError: if an argument is out of range.
  """
  _check_mixture('side', side, sigma, spacing=spacing)
  ticks = spacing * (np.arange(side) - (side - 1) / 2)
  centers = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
  return _draw(Mixture(centers, sigma), split, size, seed)
