"""The interface of networks: two pure functions.

  init(key, x, label) -> (params, batch_stats)
  apply(params, batch_stats, x, label, *, train, key, axis_name) -> (y, batch_stats)

A generator maps latents `[B, Z]` to examples `[B, ...]`. A discriminator maps
examples to logits `[B]` (`[B, h, w]` for patches), or to `DiscriminatorOutput`
if its features are needed too. Any pair of functions can be used: a renderer,
a formula. `as_network` converts modules of other libraries.

A network that draws noise for each example takes `keys`, and a generator may
offer its two halves, `mapping` and `synthesis`.
"""

from typing import Any, Callable, NamedTuple

import jax

Array = jax.Array
PyTree = Any


class DiscriminatorOutput(NamedTuple):
  """Logits of a discriminator together with its other outputs.

  Outputs that a discriminator does not have are None.

  Attributes:
    logits: logits `[B]`, or `[B, h, w]` for patches; a discriminator without
      other outputs returns these alone.
    features: activations of the last hidden layer, `[B, F]`, float.
    class_logits: logits of the classes, `[B, C]`, or of each class, real and
      generated, `[B, 2 C]` (ADC-GAN).
    twin_class_logits: class logits of a second classifier, `[B, C]` (TAC-GAN).
    embedding: unit vectors of the examples, `[B, E]` (ContraGAN, ReACGAN).
    proxy: unit vectors of the given labels, `[B, E]`, likewise.
    reconstructions: pairs of an image decoded from hidden layers and the image
      that it should equal, both `[B, ...]` in [-1, 1] (FastGAN).
  """

  logits: Array
  features: Array | None = None
  class_logits: Array | None = None
  twin_class_logits: Array | None = None
  embedding: Array | None = None
  proxy: Array | None = None
  reconstructions: tuple[tuple[Array, Array], ...] | None = None


class Network(NamedTuple):
  """A network as two pure functions.

  Attributes:
    init: function (key, x, label) -> (params, batch_stats). Optimizers update
      params; batch_stats are arrays that change as a side effect of training
      (running means, power-iteration vectors), `{}` for none.
    apply: function (params, batch_stats, x, label, *, train, key, axis_name) ->
      (y, batch_stats). With train=False it returns the statistics unchanged.
      label is the label of the examples, any tree of arrays `[B, ...]`, or None.
      axis_name is the name of the mapped device axis (or None), for statistics
      over the whole batch. The key, for dropout, differs per device and
      micro-batch. Unlike latents, dropout depends on their number.
    seeded: whether init depends on its key. If not, all seeds begin with the
      same parameters, which an ensemble refuses.
    takes_keys: whether apply (mapping and synthesis, too) takes the argument
      `keys`: one typed key per example, `[B]`, or None for no noise. Unlike
      `key`, they do not depend on the number of devices or micro-batches.
      Fold an integer of its own into them for each use.
    takes_batches: whether apply takes the argument `batches`, the number of
      batches, of one size, that x consists of. The outputs and the statistics
      are then those of one call for each, in turn.
    mapping: function (params, batch_stats, latents, label, *, train, key,
      axis_name) -> (styles, batch_stats) of a generator whose latents are
      mapped first. Styles are `[B, L, W]`, one vector for each of L layers.
    synthesis: function (params, batch_stats, styles, *, train, key, axis_name)
      -> (examples, batch_stats). apply is mapping, then synthesis.
  """

  init: Callable[..., tuple[PyTree, PyTree]]
  apply: Callable[..., tuple[Any, PyTree]]
  seeded: bool = True
  takes_keys: bool = False
  takes_batches: bool = False
  mapping: Callable[..., tuple[Array, PyTree]] | None = None
  synthesis: Callable[..., tuple[Array, PyTree]] | None = None

  def key_options(self, keys: Array | None) -> dict[str, Array | None]:
    """Returns the argument `keys` of apply, if the network takes it.

    Args:
      keys: typed keys, `[B]`, or None.
    """
    return {'keys': keys} if self.takes_keys else {}
