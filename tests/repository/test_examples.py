"""Tests that the examples run and show what they claim."""

import ast
import pathlib

import numpy as np
import pytest

from examples import dirac_gan, own_loop


def radii(title):
  path = dirac_gan.trajectory(*dirac_gan.METHODS[title])
  return np.linalg.norm(path, axis=1)


def test_dirac_gan_agrees_with_theory():
  start = np.sqrt(2)
  outward = radii('minimax, simultaneous')
  assert outward[-1] > 1.5 * start and (np.diff(outward) > 0).all()
  for title in ('minimax, alternating', 'WGAN, alternating'):
    orbit = radii(title)
    assert 0.85 * start < orbit.min() and orbit.max() < 1.2 * start
  # Bilinear, learning rate 0.1: a simultaneous step grows by sqrt(1 + 0.01).
  wgan = radii('WGAN, simultaneous')
  np.testing.assert_allclose(wgan[-1], start * 1.01**250, rtol=1e-3)
  assert radii('WGAN, extragradient')[-1] < 0.1 * start
  # Non-saturating without a penalty: inwards, slower than exponentially.
  slow = radii('non-saturating, alternating')
  assert 0.2 * start < slow[-1] < 0.5 * start
  for title in ('minimax + R1, simultaneous', 'minimax + R1, alternating'):
    assert radii(title)[-1] < 1e-6


@pytest.mark.parametrize('gamma', [0.0, 0.3, 1.0, 2.0])
def test_dirac_gan_eigenvalues(gamma):
  # Minimax with R1: -gamma / 2 +- sqrt(gamma^2 / 4 - f'(0)^2), f'(0) = 1/2.
  root = np.sqrt(complex(gamma**2 / 4 - 0.25))
  expected = np.sort_complex([-gamma / 2 - root, -gamma / 2 + root])
  eigenvalues = np.sort_complex(dirac_gan.eigenvalues('minimax', gamma))
  np.testing.assert_allclose(eigenvalues, expected, atol=2e-3)


def test_own_loop_uses_three_functions_and_learns():
  tree = ast.parse(pathlib.Path(own_loop.__file__).read_text())
  used = [
    alias.name
    for node in ast.walk(tree)
    if isinstance(node, ast.ImportFrom) and node.module.startswith('gan_jax')
    for alias in node.names
  ]
  assert sorted(used) == ['ema_update', 'r1', 'relativistic']
  shares, near = own_loop.main(num_steps=3000)
  assert shares.min() > 0.1 and near > 0.4
