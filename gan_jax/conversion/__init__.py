"""Converts networks of the authors' PyTorch code to those of gan_jax.models.

`CONVERTERS` maps the name of an architecture to a module with

* `is_generator(tensors)`, which tells a generator's state dict from another,
* `generator(tensors)` and `discriminator(tensors)`, which return a `Converted`.

Tensors are numpy arrays by the names of the authors' state dicts. Each must be
used or be known as one that is not needed, and all leaves of the Flax module
must be there, with its shapes.
"""

from gan_jax.conversion import r3gan, stylegan2
from gan_jax.conversion.state_dict import Converted

__all__ = ['CONVERTERS', 'Converted']

CONVERTERS = {'r3gan': r3gan, 'stylegan2': stylegan2}
