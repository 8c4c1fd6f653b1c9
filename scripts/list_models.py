"""Writes the table of architectures in docs/models.md.

python scripts/list_models.py

Parameters and operations are counted from the networks' shapes: nothing is
computed or compiled.
"""

import importlib
import math
import pathlib
import re
import sys
from typing import Any, Iterator, NamedTuple
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402

from gan_jax.io import terminal  # noqa: E402
from gan_jax.layers import convolution  # noqa: E402

PAGE = ROOT / 'docs' / 'models.md'
BEGIN, END = '<!-- models begin -->', '<!-- models end -->'
TABLES = dict(hierarchical=False, shared_dim=0)
PAPERS = {
  'MLP': ('PacGAN', '1712.04086'),
  'DCGAN': ('Radford et al., 2015', '1511.06434'),
  'FastGAN': ('Liu et al., 2021', '2101.04775'),
  'SNDCGAN': ('Miyato et al., 2018', '1802.05957'),
  'SNGAN': ('Miyato et al., 2018', '1802.05957'),
  'SNGAN, projection': ('Miyato and Koyama, 2018', '1802.05637'),
  'SAGAN': ('Zhang et al., 2019', '1805.08318'),
  'BigGAN': ('Brock et al., 2019', '1809.11096'),
  'BigGAN-deep': ('Brock et al., 2019', '1809.11096'),
  'StyleGAN2': ('Karras et al., 2020', '1912.04958'),
  'StyleGAN2, CIFAR-10': ('Karras et al., 2020', '2006.06676'),
  'R3GAN': ('Huang et al., 2024', '2501.05441'),
  'WaveGAN': ('Donahue et al., 2019', '1802.04208'),
}


class Row(NamedTuple):
  """A pair of networks.

  Attributes:
    title: what the literature calls them, a key of PAPERS.
    model: name in models.MODELS.
    size: side of the images in pixels, or samples of sound; 0 for points of
      the plane.
    latents: number of latents.
    classes: number of classes; 0 for none.
    g: options of the generator.
    d: options of the discriminator.
  """

  title: str
  model: str
  size: int
  latents: int = 128
  classes: int = 0
  g: dict[str, Any] = {}
  d: dict[str, Any] = {}

  @property
  def shape(self) -> tuple[int, ...]:
    """Shape of an example."""
    if self.model == 'wavegan':
      return (self.size, 1)
    return (self.size, self.size, 3) if self.size else (2,)


def _attended(side: int, **options: Any) -> dict[str, Any]:
  return dict(options, attention=side)


SAGAN = TABLES | {'kernel_init': 'glorot_uniform'}
DEEP = dict(width=128, deep=True)
MAP_2, PLAIN = dict(mapping_layers=2), dict(architecture='plain')
HALF = dict(channel_base=16384)
WIDE = dict(width=1536, group_size=32)
DECODERS = {'return_reconstructions': True}
FASTGAN = ((32, 64), (64, 128), (128, 128), (256, 256), (512, 256), (1024, 256))
ROWS = (
  Row('MLP', 'mlp', 0, 2),
  *(Row('DCGAN', 'dcgan', size, 100) for size in (32, 64, 128)),
  *(Row('FastGAN', 'fastgan', n, z, d=DECODERS) for n, z in FASTGAN),
  *(Row('SNDCGAN', 'sndcgan', size) for size in (32, 48)),
  *(Row('SNGAN', 'sngan', size) for size in (8, 16, 32, 48, 64, 128)),
  Row('SNGAN, projection', 'sngan', 32, classes=10),
  Row('SNGAN, projection', 'sngan', 128, classes=1000),
  Row('SAGAN', 'biggan', 32, 128, 10, _attended(16, **SAGAN), _attended(8, width=32)),
  Row('SAGAN', 'biggan', 128, 128, 1000, _attended(64, **SAGAN), _attended(64)),
  Row('BigGAN', 'biggan', 32, 128, 10, TABLES),
  Row('BigGAN', 'biggan', 32, 80, 10, _attended(16, width=96), _attended(16, width=48)),
  Row('BigGAN', 'biggan', 64, 100, 1000, _attended(32), _attended(32)),
  Row('BigGAN', 'biggan', 128, 120, 1000, _attended(64, width=96), _attended(64, width=96)),
  Row('BigGAN-deep', 'biggan', 32, 128, 10, _attended(16, **DEEP), _attended(16, **DEEP)),
  Row('BigGAN-deep', 'biggan', 64, 128, 1000, _attended(32, **DEEP), _attended(32, **DEEP)),
  Row('BigGAN-deep', 'biggan', 128, 128, 1000, _attended(64, **DEEP), _attended(64, **DEEP)),
  *(Row('StyleGAN2, CIFAR-10', 'stylegan2', 32, 512, c, MAP_2, PLAIN) for c in (0, 10)),
  Row('StyleGAN2', 'stylegan2', 64, 512, 0, HALF | MAP_2, HALF),
  Row('StyleGAN2', 'stylegan2', 256, 512, 0, HALF, HALF),
  Row('StyleGAN2', 'stylegan2', 1024, 512),
  *(Row('R3GAN', 'r3gan', n, 64, c) for n, c in ((32, 0), (32, 10), (64, 0), (256, 0))),
  Row('R3GAN', 'r3gan', 32, 64, 1000, WIDE, WIDE),
  Row('R3GAN', 'r3gan', 64, 64, 1000, WIDE | {'taper': False}, WIDE | {'taper': False}),
  *(Row('WaveGAN', 'wavegan', n, 100) for n in (8192, 16384, 65536)),
  Row('WaveGAN', 'wavegan', 8192, 100, 10, {'width': 16}, {'width': 16}),
)  # fmt: skip


def _equations(jaxpr: Any) -> Iterator[Any]:
  for equation in jaxpr.eqns:
    yield equation
    for value in equation.params.values():
      inner = getattr(value, 'jaxpr', value)
      if hasattr(inner, 'eqns'):
        yield from _equations(inner)


def _operations(equation: Any) -> int:
  """Returns twice the products of a convolution or a matrix product."""
  out = math.prod(equation.outvars[0].aval.shape)
  if equation.primitive.name == 'conv_general_dilated':
    *window, channels, _ = equation.invars[1].aval.shape
    # A transposed convolution does not multiply the zeros between pixels.
    zeros = math.prod(equation.params['lhs_dilation'])
    return 2 * out * math.prod(window) * channels // zeros
  if equation.primitive.name == 'dot_general':
    axes = equation.params['dimension_numbers'][0][0]
    shape = equation.invars[0].aval.shape
    return 2 * out * math.prod(shape[i] for i in axes)
  return 0


class Count(NamedTuple):
  """What a network costs.

  Attributes:
    parameters: number of parameters.
    flops: floating-point operations of a forward pass of one example, of
      convolutions and matrix products alone; spectral norm not included.
  """

  parameters: int
  flops: int


def count(row: Row, role: str) -> Count:
  """Counts the parameters and operations of a network.

  Args:
    row: a pair of networks.
    role: 'generator' or 'discriminator'.
  """
  cls = getattr(
    importlib.import_module(f'gan_jax.models.{row.model}'), role.capitalize()
  )
  made = set(cls.__dataclass_fields__)
  given = {'shape': row.shape, 'classes': row.classes, 'spectral': False}
  given |= row.g if role == 'generator' else row.d
  module = cls(**{name: x for name, x in given.items() if name in made})
  shape = (row.latents,) if role == 'generator' else row.shape
  label = jnp.zeros(1, jnp.int32) if row.classes else None
  run = lambda key: module.init_with_output(
    key, jnp.zeros((1, *shape)), label, train=False
  )
  with mock.patch.object(convolution, 'uses_own_gradients', lambda _: False):
    jaxpr, (_, variables) = jax.make_jaxpr(run, return_shape=True)(
      jax.random.key(0)
    )
  return Count(
    sum(x.size for x in jax.tree.leaves(variables['params'])),
    sum(map(_operations, _equations(jaxpr.jaxpr))),
  )


def _options(row: Row) -> str:
  """Formats the options of both networks that are not the defaults."""
  parts = []
  for player, options in (('G', row.g), ('D', row.d)):
    if options:
      listed = ', '.join(f'{n}={x!r}' for n, x in options.items())
      parts.append(f'{player}: `{listed}`')
  return '<br>'.join(parts)


def _giga(flops: int) -> str:
  return f'{flops / 1e9:.3g}'


def format_row(row: Row) -> str:
  """Returns the row's line of the table."""
  g, d = (count(row, role) for role in ('generator', 'discriminator'))
  name, paper = PAPERS[row.title]
  cells = (
    row.title,
    f'`{row.model}`',
    f'{row.size:,} samples' if row.model == 'wavegan' else row.size or 'points',
    row.latents,
    row.classes or '',
    f'{g.parameters:,}',
    f'{d.parameters:,}',
    _giga(g.flops),
    _giga(d.flops),
    _giga(4 * g.flops + 8 * d.flops),
    _options(row),
    f'[{name}](https://arxiv.org/abs/{paper})',
  )
  return f'| {" | ".join(map(str, cells))} |'


def table() -> str:
  """Returns the table, as Markdown."""
  header = (
    *('networks', '`name`', 'pixels', 'latents', 'classes'),
    *('parameters of G', 'of D', 'GFLOP of G', 'of D', 'of a step'),
    *('options', 'paper'),
  )
  rule = ['---'] * 2 + ['---:'] * 8 + ['---'] * 2
  lines = [f'| {" | ".join(cells)} |' for cells in (header, rule)]
  return '\n'.join([*lines, *map(format_row, ROWS)])


def page(text: str) -> str:
  """Returns the text of docs/models.md with a new table.

  Args:
    text: the old text.
  """
  between = f'{BEGIN}\n\n{table()}\n\n{END}'
  return re.sub(f'{BEGIN}.*{END}', lambda _: between, text, flags=re.DOTALL)


if __name__ == '__main__':
  terminal.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
  PAGE.write_text(page(PAGE.read_text()))
