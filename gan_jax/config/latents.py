"""Options of the distribution of the latents."""

import dataclasses

from gan_jax.config.fields import Part, option

LATENTS = ('normal', 'truncated_normal', 'uniform')


@dataclasses.dataclass(frozen=True)
class TruncatedNormal:
  """Options of the normal distribution without its tails.

  Attributes:
    threshold: Largest absolute value of an entry; larger ones are drawn again.
  """

  threshold: float = option(2.0, above=0)


@dataclasses.dataclass(frozen=True)
class Latents(Part):
  """The distribution of the latents, in training and sampling.

  Attributes:
    name: 'normal' for z ~ N(0, I), 'truncated_normal', or 'uniform' in
      [-1, 1).
    truncated_normal: Options of the normal distribution without its tails.
  """

  name: str = option('normal', names=LATENTS, aliases={'gaussian': 'normal'})
  truncated_normal: TruncatedNormal = TruncatedNormal()
