"""Operations are counted on the host, whatever the platform of the run."""

from unittest import mock

import jax
import pytest

from gan_jax import experiment
from gan_jax.experiment import cost


@pytest.fixture(scope='module')
def toy():
  return experiment.build(
    {
      'data': {'name': 'gaussian'},
      'generator': {'name': 'linear'},
      'discriminator': {'name': 'mlp', 'mlp': {'features': (64,)}},
      'batch_size': 512,
      'num_devices': 1,
    }
  )


def test_operations_are_counted_for_the_host(toy):
  host = lambda backend: {'cpu': jax.devices()[1:]}[backend]
  with (
    mock.patch.object(jax, 'local_devices', host),
    mock.patch.object(
      jax, 'default_device', wraps=jax.default_device
    ) as chosen,
  ):
    flops = cost.count_flops(cost.lower_train_step(toy))
  chosen.assert_called_once_with(jax.devices()[1])
  # D has 2 x 64 + 64 weights, applied to 512 examples thrice, and backward.
  assert 3 * 512 * 2 * 192 < flops < 1e8


def test_without_a_host_they_are_those_of_the_platform(toy):
  with mock.patch.object(jax, 'local_devices', side_effect=RuntimeError):
    lowered = cost.lower_train_step(toy)
  assert cost.count_flops(lowered) > 0
  none = mock.Mock(cost_analysis=lambda: None)
  assert cost.count_flops(none) != cost.count_flops(none)  # NaN
