"""One HTML file that runs a generator in a browser."""

import base64
import html
import importlib.resources
import json
from typing import Any, Sequence

import jax
import numpy as np

from gan_jax import prng, sampling, training
from gan_jax.export import directions
from gan_jax.export import graph as graph_lib
from gan_jax.export.generator import make_generator

_DIRECTIONS, _GALLERY, _POINTS, _CLASSES = 12, 24, 400, 1000
_SAMPLES = 512  # latents for the scale of the directions and of a plot
_HALVED = 64  # constants of more entries are float16, if asked for
_SPEED = 1e9  # floating-point operations per second of a browser, about


def make_page(
  sampler: sampling.Sampler,
  *,
  title: str = 'A generator in your browser',
  about: str = '',
  class_names: Sequence[str] = (),
  rate: int = 16000,
  float16: bool = False,
  graph: graph_lib.Graph | None = None,
) -> str:
  """Makes a page with the generator of a run in it.

  The page loads nothing else. It draws the samples of gan_jax.load(run) by
  seed and index, without noise of the generator or with a fixed one.

  Args:
    sampler: sampler of a run, of images, sound or vectors.
    title: title of the page.
    about: line below it.
    class_names: names of the classes; () for their numbers.
    rate: samples of sound per second.
    float16: whether weights are rounded to float16, for half the size.
    graph: graph of trace_page; None for that of no noise.

  Returns:
    The HTML.

  Raises:
    UnsupportedOperationError: if the generator has an operation that the page
      does not know.
    ValueError: if the generator takes labels that are no classes.
  """
  if graph is None:
    graph = trace_page(sampler)
  flops = graph_lib.count_flops(graph)
  kind = _kind(sampler.shape)
  data = {
    'about': about,
    'classes': _class_names(sampler.gan.classes, class_names),
    'directions': _directions(sampler, graph),
    'gallery': int(np.clip(30 * _SPEED // max(flops, 1), 4, _GALLERY)),
    'graph': graph_to_json(graph, float16=float16),
    'kind': kind,
    'latents': _latents(sampler),
    'notes': _notes(graph, flops, float16),
    'points': _POINTS,
    'rate': rate,
    'shape': list(sampler.shape),
    'span': _span(sampler) if kind == 'point' else 1,
    'truncation': sampler.gan.generator.mapping is not None,
  }
  return _fill(title, data)


def trace_page(
  sampler: sampling.Sampler, *, noise_seed: int | None = None
) -> graph_lib.Graph:
  """Traces the generator of a run for a page.

  Args:
    sampler: sampler of a run, of images, sound or vectors.
    noise_seed: as for make_generator.

  Returns:
    The graph, for one example.

  Raises:
    UnsupportedOperationError: if the generator has an operation that the page
      does not know.
    ValueError: if the generator takes labels that are no classes, or is given
      noise that it does not take.
  """
  if sampler.label is not None and not sampler.gan.classes:
    raise ValueError(
      'the generator takes labels that are no classes; a page has buttons for '
      'classes alone: choose another format'
    )
  generator = make_generator(sampler, noise_seed=noise_seed, shifts_styles=True)
  return graph_lib.trace_graph(
    generator.function, generator.weights, generator.specs(1)
  )


def _fill(title: str, data: dict[str, Any]) -> str:
  """Fills the template; nothing of the data can end its script."""
  assets = importlib.resources.files('gan_jax.export') / 'page'
  read = lambda name: (assets / name).read_text()
  text = json.dumps(data, separators=(',', ':')).replace('<', '\\u003c')
  fields = {
    'title': html.escape(title),
    'css': read('page.css'),
    'interpreter': read('interpreter.js'),
    'latents': read('latents.js'),
    'page': read('page.js'),
    'data': text,
  }
  pieces = read('page.html').split('{{')
  found = [pieces[0]]
  for piece in pieces[1:]:
    name, _, rest = piece.partition('}}')
    found += [fields[name], rest]
  return ''.join(found)


def graph_to_json(found: graph_lib.Graph, *, float16: bool = False) -> Any:
  """Returns a graph as JSON, as interpreter.js reads it.

  Args:
    found: the graph, for one example.
    float16: whether float constants are rounded to float16.
  """

  def constant(x):
    is_halved = float16 and x.dtype == np.float32 and x.size > _HALVED
    x = x.astype(np.float16) if is_halved else x
    data = base64.b64encode(np.ascontiguousarray(x).tobytes()).decode()
    return {'shape': list(x.shape), 'type': str(x.dtype), 'data': data}

  return {
    'inputs': found.inputs,
    'operations': found.operations,
    'output': found.output,
    'constants': [constant(x) for x in found.constants],
  }


def _kind(shape: tuple[int, ...]) -> str:
  """Returns how an example is shown."""
  if len(shape) == 3 and shape[2] in (1, 3, 4):
    return 'image'
  if len(shape) == 2:
    return 'sound'
  return 'point' if shape == (2,) else 'vector'


def _class_names(count: int, names: Sequence[str]) -> list[str] | None:
  if not count:
    return None
  if count > _CLASSES:
    raise ValueError(f'{count} classes: a page has at most {_CLASSES} buttons')
  return list(names) if len(names) == count else list(map(str, range(count)))


def _latents(sampler: sampling.Sampler) -> dict[str, Any]:
  """Returns the law of the latents, as latents.js draws them."""
  law = sampler.config.latents
  found = {'name': law.name, 'dim': sampler.gan.latent_dim}
  if law.name == 'truncated_normal':
    root = np.float32(law.options.threshold / np.sqrt(2))
    found['edge'] = float(jax.lax.erf(root))
  return found


def _draw(sampler: sampling.Sampler, count: int) -> jax.Array:
  keys = prng.per_example_keys(jax.random.key(0), np.arange(count))
  return sampler.gan.latent_fn(keys, sampler.gan.latent_dim)


def _directions(
  sampler: sampling.Sampler, traced: graph_lib.Graph
) -> dict[str, Any]:
  """Returns directions of latents or styles, and their deviations."""
  names = [name for name, _, _ in traced.inputs]
  space = 'w' if 'shift' in names else 'z'
  maps = directions.first_affine_maps(traced, 'shift' if space == 'w' else 'z')
  vectors, _ = sampling.sefa_directions([jax.numpy.asarray(maps)])
  found = np.ascontiguousarray(vectors[:_DIRECTIONS], np.float32)
  points = _draw(sampler, _SAMPLES)
  if space == 'w':
    label = sampling.label_fn(sampler.gan)(np.arange(_SAMPLES))
    mapping = jax.jit(training.make_mapping_fn(sampler.gan))
    points = mapping(sampler.weights, points, label)[:, 0]
  deviations = (np.asarray(points, np.float64) @ found.T).std(axis=0)
  return {
    'space': space,
    'count': len(found),
    'width': found.shape[1],
    'scales': [float(x) for x in deviations],
    'vectors': base64.b64encode(found.tobytes()).decode(),
  }


def _span(sampler: sampling.Sampler) -> float:
  """Returns half of the side of a plot of points."""
  return float(1.15 * np.abs(sampler(_SAMPLES)).max()) or 1.0


def _notes(traced: graph_lib.Graph, flops: float, float16: bool) -> str:
  numbers = sum(x.size for x in traced.constants)
  kind = 'float16' if float16 else 'float32'
  return (
    f'{len(traced.operations)} operations, {numbers:,} numbers in {kind}, '
    f'{flops / 1e9:.3g} GFLOP a sample. This file runs the network itself and '
    'loads nothing. Left and right arrows step through the samples. Made by '
    'gan_jax.'
  )
