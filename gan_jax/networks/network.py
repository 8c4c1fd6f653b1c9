"""The interface of networks: two pure functions.

  init(key, x, label) -> (params, batch_stats)
  apply(params, batch_stats, x, label, *, train, key, axis_name) -> (y, batch_stats)

A generator maps latents `[B, Z]` to examples `[B, ...]`. A discriminator maps
examples to logits `[B]` (`[B, h, w]` for patches), or to `DiscriminatorOutput`
if its features are needed too. Any pair of functions can be used: a renderer,
a formula. `as_network` converts modules of other libraries.
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
  """

  logits: Array
  features: Array | None = None
  class_logits: Array | None = None
  twin_class_logits: Array | None = None
  embedding: Array | None = None
  proxy: Array | None = None


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
  """

  init: Callable[..., tuple[PyTree, PyTree]]
  apply: Callable[..., tuple[Any, PyTree]]
  seeded: bool = True
