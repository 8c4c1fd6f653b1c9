"""Networks as two pure functions, and their conversion from other libraries.

`as_network` takes a Linen module, a function that makes an NNX or an Equinox
module, or a `Network`.
"""

from gan_jax.networks.convert import as_network, from_equinox, from_nnx
from gan_jax.networks.layer_order import layers_in_order
from gan_jax.networks.linen import from_linen
from gan_jax.networks.network import DiscriminatorOutput, Network

__all__ = [
  'DiscriminatorOutput',
  'Network',
  'as_network',
  'from_equinox',
  'from_linen',
  'from_nnx',
  'layers_in_order',
]
