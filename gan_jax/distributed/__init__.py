"""Devices, processes, signals and XLA settings.

All other packages access devices through this one.
"""

from gan_jax.distributed.devices import emulate_devices, parallelize_step
from gan_jax.distributed.multihost import initialize
from gan_jax.distributed.xla_setup import configure_jax

__all__ = [
  'configure_jax',
  'emulate_devices',
  'initialize',
  'parallelize_step',
]
