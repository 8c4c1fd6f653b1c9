"""Optimizers of traced hyper-parameters, and schedules."""

import jax
import jax.numpy as jnp
import pytest

from gan_jax import training
from gan_jax.training import optimizers


@pytest.mark.parametrize('name', sorted(training.OPTIMIZERS))
def test_optimizers_descend_from_traced_hyper_parameters(name):
  build = optimizers.from_hparams(name, 'g')
  hparams = {f'g_{k}': v for k, v in optimizers.hparam_defaults(name).items()}
  hparams = jax.tree.map(jnp.float32, hparams | {'g_learning_rate': 0.1})

  @jax.jit
  def run(hparams, x):
    opt_state = build(hparams).init(x)
    for _ in range(30):
      updates, opt_state = build(hparams).update(2 * x, opt_state, x)
      x = x + updates
    return x

  assert abs(run(hparams, jnp.float32(1.0))) < 0.5
  still = run(hparams | {'g_learning_rate': jnp.float32(0)}, jnp.float32(1.0))
  assert still == 1
