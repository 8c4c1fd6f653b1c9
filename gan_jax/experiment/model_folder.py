"""A generator as a folder in the layout of the Hugging Face hub.

`model.safetensors` has the weights under the paths of their Flax variables,
`config.json` the config of the run and what else rebuilds the generator, and
`README.md` is the model card. gan_jax.load reads the folder and draws the same
samples, bit for bit.
"""

import hashlib
import json
import os
import pathlib
from typing import Any, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import __version__, sampling, training
from gan_jax import config as config_lib
from gan_jax.conversion import state_dict
from gan_jax.experiment import build_gan
from gan_jax.io import array_file, files

WEIGHTS, CONFIG, CARD = 'model.safetensors', 'config.json', 'README.md'
PICTURE = 'samples.png'
_LIBRARY, _FORMAT = 'gan_jax', 1
_MOST = 2**20  # sides, channels and classes


def is_model_folder(path: str | os.PathLike) -> bool:
  """Returns whether a directory is an exported generator, by its files."""
  path = files.resolve_path(path)
  return (path / WEIGHTS).is_file() and (path / CONFIG).is_file()


def save_model_folder(
  path: pathlib.Path, sampler: sampling.Sampler, facts: Mapping[str, Any]
) -> None:
  """Writes the weights, the config and the model card of a generator.

  Args:
    path: an existing directory.
    sampler: sampler of a run.
    facts: 'name' of the run, 'weights' ('ema' or 'raw'), and, if there are,
      'class_names' and 'scores', as in summary.json.

  Raises:
    OSError: if a file cannot be written.
    ValueError: if the generator is one of the user, which no config rebuilds.
  """
  check_rebuilds(sampler.config)
  arrays = weight_arrays(sampler)
  about = {
    'library_name': _LIBRARY,
    'format': _FORMAT,
    'config': config_lib.to_dict(sampler.config),
    'shape': list(sampler.shape),
    'step': sampler.step,
    'weights': facts['weights'],
    'class_share': list(sampler.gan.class_share),
    'class_names': list(facts.get('class_names', ())),
    'versions': {
      'gan_jax': __version__,
      'jax': jax.__version__,
      'numpy': np.__version__,
    },
  }
  array_file.write_arrays(path / WEIGHTS, arrays, {'format': 'flax'})
  files.write_json(path / CONFIG, about)
  digest = hashlib.sha256((path / WEIGHTS).read_bytes()).hexdigest()
  picture = PICTURE if (path / PICTURE).exists() else ''
  card = _card(sampler, facts, digest, picture)
  files.atomic_write(path / CARD, card)


def check_rebuilds(config: config_lib.Config) -> None:
  """Checks that the generator of a config can be built from it.

  Raises:
    ValueError: if it is a network of the user.
  """
  if config.generator.name == 'own':
    raise ValueError(
      'the generator is a network of your own, which no config rebuilds: '
      '--to=folder is for those of gan_jax.models. --to=stablehlo, onnx and '
      'page have the program itself'
    )


def load_model_folder(path: str | os.PathLike) -> sampling.Sampler:
  """Reads the generator of a folder as a sampling function.

  Args:
    path: directory of save_model_folder.

  Returns:
    The sampler. Its weights are those of the folder, bit for bit.

  Raises:
    OSError: if a file cannot be read.
    ValueError: if a file is damaged, or of another library; the message names
      it.
  """
  path = files.resolve_path(path)
  about = files.read_json(path / CONFIG)
  if about.get('library_name') != _LIBRARY or about.get('format') != _FORMAT:
    raise ValueError(
      f'{path / CONFIG} is of no generator of gan_jax: library_name is '
      f'{about.get("library_name")!r}, format {about.get("format")!r}; must be '
      f'{_LIBRARY!r} and {_FORMAT}'
    )
  arrays, _ = array_file.read_arrays(path / WEIGHTS)
  try:
    config = config_lib.resolve(about['config'])
    shape, share = (
      tuple(about['shape']),
      tuple(map(float, about['class_share'])),
    )
    step = int(about['step'])
    if not all(
      type(n) is int and 0 < n <= _MOST for n in (*shape, len(share) + 1)
    ):
      raise ValueError(f'shape={shape}, {len(share)} classes')
    gan = build_gan.build_gan(config, shape, class_share=share)
    needed = _needed_weights(gan)
  except Exception as error:  # what is in a file can raise any type
    raise ValueError(
      f'{path / CONFIG} is not as it was written: {files.short_message(error)}'
    ) from error
  faults = state_dict.differences(arrays, state_dict.flatten(needed))
  if faults:
    raise ValueError(
      f'{path / WEIGHTS} has other weights than its config: {faults}'
    )
  fill = lambda keys, leaf: jnp.asarray(arrays[state_dict.path_of(keys)])
  tree = jax.tree_util.tree_map_with_path(fill, needed)
  weights = tree['params'], tree['batch_stats']
  return sampling.Sampler(config, shape, step, weights, gan)


def _needed_weights(gan: training.GAN) -> dict[str, Any]:
  """Returns shapes and types of the weights of a GAN's generator."""
  latents = jnp.zeros((2, gan.latent_dim))
  label = jnp.zeros(2, jnp.int32) if gan.classes else None
  init = lambda key: gan.generator.init(key, latents, label)
  return _tree(jax.eval_shape(init, jax.random.key(0)))


def weight_arrays(sampler: sampling.Sampler) -> dict[str, np.ndarray]:
  """Returns the weights of a generator by the paths of their variables.

  Args:
    sampler: sampler of a run.

  Returns:
    'params/...' and 'batch_stats/...' -> array.
  """
  leaves = state_dict.flatten(_tree(sampler.weights))
  return {name: np.asarray(x) for name, x in leaves.items()}


def _tree(weights: tuple[Any, Any]) -> dict[str, Any]:
  return {'params': weights[0], 'batch_stats': weights[1]}


# ---- The model card.


def _card(
  sampler: sampling.Sampler, facts: Mapping[str, Any], digest: str, picture: str
) -> str:
  """Returns the model card: the hub's YAML, then a page."""
  name = files.printable(facts['name'])
  parts = [
    _yaml(sampler, facts, name),
    f'# {_escaped(name)}',
    f'![samples]({picture})' if picture else '',
    _summary(sampler, facts),
    _USAGE,
    _score_table(facts.get('scores', ())),
    f'SHA-256 of `{WEIGHTS}`: `{digest}`',
  ]
  return '\n\n'.join(filter(None, parts)) + '\n'


_USAGE = """```python
import gan_jax

sample = gan_jax.load('.')  # this folder
images = sample(64, seed=0)  # [64, ...], images and sound in [-1, 1]
```"""


def _yaml(
  sampler: sampling.Sampler, facts: Mapping[str, Any], name: str
) -> str:
  """Returns the metadata; strings of JSON are strings of YAML."""
  task = 'unconditional-image-generation'
  data = json.dumps(sampler.config.data.name)
  lines = ['---', 'library_name: gan_jax', 'tags: [gan, jax, flax]']
  if len(sampler.shape) == 3:
    lines.insert(2, f'pipeline_tag: {task}')
  scores = [x for x in facts.get('scores', ()) if _is_finite(x)]
  if scores:
    lines += [
      'model-index:',
      f'- name: {json.dumps(name)}',
      '  results:',
      f'  - task: {{type: {task}}}',
      f'    dataset: {{name: {data}, type: {data}}}',
      '    metrics:',
    ]
    lines += [
      f'    - {{type: {json.dumps(x["metric"])}, '
      f'name: {json.dumps(x["name"])}, value: {x["value"]:.6g}}}'
      for x in scores
    ]
  return '\n'.join([*lines, '---'])


def _is_finite(score: Mapping[str, Any]) -> bool:
  value = score.get('value')
  return isinstance(value, int | float) and bool(np.isfinite(value))


def _escaped(text: str) -> str:
  """Returns text of others as text of Markdown, without HTML or links."""
  marked = {c: f'\\{c}' for c in '\\`*_[]<>#|&!'}
  return str(text).translate(str.maketrans(marked))


def _summary(sampler: sampling.Sampler, facts: Mapping[str, Any]) -> str:
  config, gan = sampler.config, sampler.gan
  count = sum(np.size(x) for x in jax.tree.leaves(sampler.weights[0]))
  law = config.latents.name
  if config.latents.options is not None:
    law += f' {config_lib.to_dict(config)["latents"][law]}'
  rows = [
    ('generator', f'`{config.generator.name}`, {count:,} parameters'),
    ('shape', ' x '.join(map(str, sampler.shape))),
    ('latents', f'{gan.latent_dim}, {law}'),
    ('data', _escaped(config.data.name)),
    ('weights', f'{facts["weights"]}, step {sampler.step:,}'),
  ]
  names = facts.get('class_names', ())
  if gan.classes:
    listed = ', '.join(map(_escaped, map(files.printable, names)))
    rows.append(
      ('classes', f'{gan.classes}: {listed}' if names else gan.classes)
    )
  lines = [f'| {name} | {value} |' for name, value in rows]
  return '\n'.join(['| | |', '|---|---|', *lines])


def _score_table(scores: Any) -> str:
  if not scores:
    return ''
  number = lambda x: f'{x:.4g}' if isinstance(x, int | float) else 'none'
  lines = [
    f'| {_escaped(x.get("name"))} | {number(x.get("value"))} ± '
    f'{number(x.get("error"))} | {number(x.get("baseline"))} |'
    for x in scores
  ]
  head = ['| score | generated | real data (baseline) |', '|---|---|---|']
  return '\n'.join([*head, *lines])
