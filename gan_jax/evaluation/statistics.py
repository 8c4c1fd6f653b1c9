"""Published statistics of features as a reference: a mean and a covariance."""

import hashlib
import math
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.io import npz
from gan_jax.metrics import frechet

_NAMES = ('mu', 'sigma')
METRICS = ('fid', 'fd')


class FeatureStatistics:
  """Mean and covariance of the features of real examples.

  Attributes:
    mean: `[d]`, float64.
    covariance: `[d, d]`, float64.
    shape: None: the examples are not known.
    distribution: None.
    digest: digest of both arrays.
  """

  shape = None
  distribution = None

  def __init__(self, mean: np.ndarray, covariance: np.ndarray, name: str):
    """Checks the statistics.

    Args:
      mean: `[d]`.
      covariance: `[d, d]`.
      name: where they come from, for messages.

    Raises:
      ValueError: if the shapes do not fit, a number is not finite, or the
        covariance is not symmetric.
    """
    mean, covariance = (np.asarray(x, np.float64) for x in (mean, covariance))
    if mean.ndim != 1 or covariance.shape != 2 * mean.shape:
      raise ValueError(
        f'{name}: mu of shape {mean.shape} and sigma of shape '
        f'{covariance.shape}; must be [d] and [d, d]'
      )
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
      raise ValueError(f'{name}: mu and sigma must be finite')
    scale = np.abs(covariance).max()
    if np.abs(covariance - covariance.T).max() > 1e-6 * scale:
      raise ValueError(f'{name}: sigma is not symmetric')
    self.mean, self.covariance, self.name = mean, covariance, name
    content = hashlib.sha256(mean.tobytes() + covariance.tobytes())
    self.digest = content.hexdigest()[:16]

  def check_protocol(self, protocol: str, option: str) -> None:
    """Checks that the protocol of the statistics was named.

    Args:
      protocol: name of the protocol, '' if none was named.
      option: how the user names one, such as '--protocol='.

    Raises:
      ValueError: if none was named.
    """
    if not protocol:
      raise ValueError(
        f'{self.name} does not say how its images were resized: name it by '
        f"{option}, 'legacy_tensorflow' (the authors' code, StyleGAN, "
        "torch-fidelity), 'legacy_pytorch' (pytorch-fid) or 'clean' (clean-fid)"
      )

  def check_dim(self, dim: int) -> None:
    """Checks that features have the length of the mean.

    Raises:
      ValueError: if they do not.
    """
    if len(self.mean) != dim:
      raise ValueError(
        f'{self.name} holds statistics of {len(self.mean)} features, and the '
        f'features have {dim}: other features or another network'
      )


class StatisticsSet:
  """Statistics in place of a features.FeatureSet of real examples.

  Attributes:
    source: the statistics.
    count: infinity, because the number of examples is not known.
  """

  count = math.inf

  def __init__(self, source: FeatureStatistics):
    """Initializes the set."""
    self.source = source

  def moments(self, groups: int) -> list[frechet.Moments]:
    """Returns moments whose mean and covariance are the statistics.

    Args:
      groups: number of groups, 1.
    """
    del groups
    with jax.enable_x64(True):
      of = self.source
      return [
        frechet.Moments(
          jnp.float64(2), jnp.asarray(of.mean), jnp.asarray(of.covariance)
        )
      ]


def open_statistics(path: str | pathlib.Path) -> FeatureStatistics | None:
  """Reads the statistics of an .npz with the arrays 'mu' and 'sigma'.

  Args:
    path: any path.

  Returns:
    The statistics; None if the path is no such file.

  Raises:
    ValueError: if the arrays do not fit.
  """
  path = pathlib.Path(path).expanduser()
  if path.suffix.lower() != '.npz' or not path.is_file():
    return None

  def choose(found: list[str]) -> list[str]:
    if not set(_NAMES) <= set(found):
      raise KeyError
    return list(_NAMES)

  with path.open('rb') as file:
    try:
      arrays: dict[str, Any] = npz.read_npz(file, choose)
    except KeyError:
      return None
    except Exception:  # not a whole .npz: whoever opens it next says so
      return None
  return FeatureStatistics(*(arrays[name] for name in _NAMES), str(path))
