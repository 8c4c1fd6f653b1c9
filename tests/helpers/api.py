"""All that the golden tests know of the library; a rename or a move ends here.

Records have names of their own: paths of settings ('penalties.r1.weight'), of
arrays of a state ('generator/params/dense_0/kernel'), metrics, and what can be
chosen ('loss' is one of names('loss')). NAMES is the one place that says what
the library calls them. Where the library changes a name, change its right-hand
side here, and leave the records alone.
"""

import functools
import hashlib
import importlib
import inspect
import math
import re

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import (
  augment,
  data,
  evaluation,
  experiment,
  losses,
  networks,
  sampling,
  training,
)
from gan_jax import (
  config as config_lib,
)
from gan_jax.data import ArraySource, stacked_mnist, synthetic, tfds
from gan_jax.evaluation import reference_data, results
from gan_jax.experiment import (
  best_checkpoint,
  build_hparams,
  extract_member,
  run_dir,
)
from gan_jax.experiment import experiment as experiment_lib
from gan_jax.io import files
from gan_jax.sampling import standing_stats
from gan_jax.training import ensemble, fused

# Lines of 'name in the records = name in the library'; without '=', both. In a
# setting '*' is a penalty (a name in `values`, if it has another there).
NAMES = {
  'settings': """
    seed
    num_steps
    batch_size
    d_steps
    micro_batches
    same_latents
    joint_batch
    latent_dim
    latents.name
    latents.threshold
    conditional
    fake_labels
    class_conditioning
    loss
    loss_options.real
    loss_options.fake
    loss_options.generator
    loss_options.scales
    label_smoothing
    top_k.fraction
    top_k.gamma
    top_k.every
    packing
    loss_reduction
    d_loss_scale
    g_loss_scale
    penalties.*.weight
    penalties.*.every
    penalties.*.target
    penalties.*.scale
    penalties.*.decay
    penalties.*.batch_stride
    penalties.*.policy
    penalties.*.sigma
    penalties.*.epsilon
    penalties.*.fakes
    penalties.*.margin
    penalties.*.temperature
    augment.name
    augment.policy
    augment.strength
    augment.target
    augment.speed
    augment.interval
    instance_noise.sigma
    generator.name
    generator.width
    generator.features
    generator.norm
    generator.activation
    generator.kernel_init
    generator.bias_init
    generator.attention
    generator.hierarchical
    generator.deep
    generator.shared_dim
    generator.spectral
    generator.remat
    discriminator.name
    discriminator.width
    discriminator.features
    discriminator.norm
    discriminator.activation
    discriminator.pieces
    discriminator.kernel_init
    discriminator.bias_init
    discriminator.outputs
    discriminator.minibatch_std
    discriminator.attention
    discriminator.deep
    discriminator.spectral
    discriminator.pooling
    discriminator.remat
    g_optimizer.name
    g_optimizer.learning_rate
    g_optimizer.momentum
    g_optimizer.b1
    g_optimizer.b2
    g_optimizer.eps
    g_optimizer.decay
    g_optimizer.weight_decay
    g_optimizer.optimism
    g_optimizer.weight_clip
    g_optimizer.freeze_layers
    d_optimizer.name
    d_optimizer.learning_rate
    d_optimizer.momentum
    d_optimizer.b1
    d_optimizer.b2
    d_optimizer.eps
    d_optimizer.decay
    d_optimizer.weight_decay
    d_optimizer.optimism
    d_optimizer.weight_clip
    d_optimizer.freeze_layers
    update_rule
    lookahead.every
    lookahead.alpha
    consensus_weight
    ema_decay
    ema_half_life
    schedules
    diagnostics
    data.name
    data.flip
    data.dataset
    data.data_dir
    data.size
    data.channels
    data.train_split
    data.test_split
    data.test_fraction
    data.path
    data.x
    data.label
    data.value_range
    data.function
    data.subset
    data.revision
    data.image
    data.classes
    data.background
    data.skip_broken
    data.memory_mb
    data.threads
    data.follow_symlinks
    data.seed
    data.modes
    data.radius
    data.sigma
    data.side
    data.spacing
    data.stacks
    data.length
    data.sample_rate
    data.trim_silence
    data.normalize
    parallel
    num_devices
    steps_per_call
    resident_mb
    compute_dtype
    ensemble.seeds
    ensemble.sweep
    ensemble.points
    ensemble.way = ensemble.backend
    nonfinite
    deterministic
    stall_seconds
    log_every
    sample_every
    checkpoint_every
    keep_checkpoints
    num_samples
    eval.metrics
    eval.every = eval_every
    eval.num_samples
    eval.num_real
    eval.features
    eval.feature_weights
    eval.protocol
    eval.against = eval.reference_split
  """,
  # Of the tree of a state: its fields, what is in them, networks, optimizers.
  'state': """
    step
    generator
    discriminator
    params
    stats = batch_stats
    optimizer = opt_state
    average = ema
    hyper = hparams
    memory = aux_state
    lookahead
    last_moves
    past_gradient
    augment
    strength
    sign_sum
    count
    real
    fake
    dense = Dense
    conv = Conv
    conv_transpose = ConvTranspose
    norm = Norm
    batch_norm = BatchNorm
    layer_norm = LayerNorm
    spectral_scale = SpectralScale
    minibatch_std = MinibatchStd
    kernel
    dual_kernel
    bias
    scale
    mean
    var
    power_u
    power_v
    power_sigma
    mu
    nu
    trace
    grads_sum
    is_initial_step
    previous_gradient
  """,
  # Of the hyper-parameters in a state.
  'hyper': """
    g_learning_rate
    g_momentum
    g_b1
    g_b2
    g_eps
    g_decay
    g_weight_decay
    g_optimism
    g_weight_clip
    d_learning_rate
    d_momentum
    d_b1
    d_b2
    d_eps
    d_decay
    d_weight_decay
    d_optimism
    d_weight_clip
    *_weight
    label_smoothing
    augment_strength
    noise_sigma
    lookahead_alpha
    ema_decay
    consensus_weight
    *_start_0
    *_end_0
    *_steps_0
    *_start_1
    *_end_1
    *_steps_1
    *_start_2
    *_end_2
    *_steps_2
  """,
  # Of a train step; a penalty's is its name.
  'metrics': """
    d_loss
    g_loss
    d_real
    d_fake
    d_accuracy
    augment_strength
    skipped
    d_grad_norm
    g_grad_norm
    d_update_cosine
    g_update_cosine
  """,
  # Losses, penalties, optimizers, scores ... that the library calls otherwise.
  'values': """
    zero_centred = zero_centered
    wgan_gp_one_sided = wgan_lp
    max_gradient = max_gp
  """,
}


def _read(text):
  pairs = [line.partition('=')[::2] for line in text.split('\n')]
  return {
    (library.strip() or record.strip()): record.strip()
    for record, library in pairs
    if record.strip()
  }


_TABLES = {kind: _read(text) for kind, text in NAMES.items()}


def _value_name(value):
  """What the records call a name that may be chosen."""
  return _TABLES['values'].get(value, value)


def _library_value(name):
  return {v: k for k, v in _TABLES['values'].items()}.get(name, name)


def _translated(table, name, change):
  """A name through a table whose '*' stands for a name of `values`."""
  if name in table:
    return table[name]
  for left, right in table.items():
    if '*' in left:
      pattern = re.escape(left).replace(r'\*', r'(\w+)')
      if found := re.fullmatch(pattern, name):
        return right.replace('*', change(found[1]))
  raise KeyError(f'{name!r} has no line in NAMES of tests/helpers/api.py')


def _leaves(mapping, prefix=''):
  for name, value in mapping.items():
    if isinstance(value, dict) or hasattr(value, 'items'):
      yield from _leaves(dict(value), f'{prefix}{name}.')
    else:
      yield f'{prefix}{name}', value


# Sections that choose one part by name, and hold a section for each.
_PARTS = (
  *('generator', 'discriminator', 'g_optimizer', 'd_optimizer'),
  *('augment', 'data', 'latents'),
)
# Options newer than the records, which do not hold them at these values.
_NEWER = {
  'data.flip': False,
  'ensemble.points': [],
  'g_optimizer.freeze_layers': 0,
  'd_optimizer.freeze_layers': 0,
}
# Settings of files for people, which records leave out.
_NOT_RECORDED = ('report', 'writers')
# What all parts of a kind share, which stands beside the name.
_SHARED = (*('name', 'learning_rate', 'weight_clip', 'flip', 'freeze_layers'),)


def _without_sections(mapping):
  """Leaves of a config, the section of a chosen part left out of their names.

  Those of parts that are not chosen are left out as a whole.
  """
  for path, value in _leaves(mapping):
    head, *rest = path.split('.')
    if head in _PARTS and len(rest) == 2:
      if rest[0] != mapping[head]['name']:
        continue
      path = f'{head}.{rest[1]}'
    if head == 'loss_options':
      if rest[0] != mapping['loss']:
        continue
      path = f'{head}.{rest[1]}'
    yield path, value


def _with_section(path, chosen):
  """The inverse for one name, by the names of the parts that are chosen."""
  head, *rest = path.split('.')
  if head in _PARTS and rest[0] not in _SHARED:
    return f'{head}.{chosen[head]}.{rest[0]}'
  if head == 'loss_options':
    return f'{head}.{chosen["loss"]}.{rest[0]}'
  return path


def _records_settings(mapping):
  """Nested settings of the library as {path in the records: value}."""
  table = _TABLES['settings']
  return {
    _translated(table, path, _value_name): (
      _value_name(value) if isinstance(value, str) else value
    )
    for path, value in _without_sections(mapping)
    if path not in _NOT_RECORDED
    if path not in _NEWER or value not in (_NEWER[path], ())
  }


def _library_settings(overrides):
  """The inverse: nested, as the library takes them."""
  table = {v: k for k, v in _TABLES['settings'].items()}
  defaults = config_lib.defaults()
  chosen = {
    part: overrides.get(f'{part}.name', defaults[part]['name'])
    for part in _PARTS
  }
  chosen['loss'] = _library_value(overrides.get('loss', defaults['loss']))
  known = lambda path: _with_section(
    _translated(table, path, _library_value), chosen
  )
  mapping = {}
  for path, value in overrides.items():
    *sections, leaf = known(path).split('.')
    inner = mapping
    for section in sections:
      inner = inner.setdefault(section, {})
    inner[leaf] = _library_value(value) if isinstance(value, str) else value
  if text := overrides.get('ensemble.sweep'):  # it holds names of settings
    mapping['ensemble']['sweep'] = re.sub(
      r'[a-z_][\w.]*(?==)', lambda found: known(found[0]), text
    )
  if text := overrides.get('schedules'):
    parts = [part.strip().partition('=') for part in text.split(';')]
    mapping['schedules'] = ';'.join(
      f'{"+".join(map(known, options.split("+")))}={values}'
      for options, _, values in parts
    )
  return mapping


# ---- What there is.


def names(kind):
  """The names that a setting can take: 'loss', 'penalty', 'metric' ..."""
  tables = {
    'loss': losses.LOSSES,
    'penalty': training.PENALTIES,
    'g_penalty': [
      n for n, t in training.PENALTIES.items() if t.player[0] == 'g'
    ],
    'image_penalty': ['bcr'],
    'augment': augment.AUGMENTS,
    'optimizer': training.OPTIMIZERS,
    'update_rule': training.UPDATE_RULES,
    'metric': evaluation.METRICS,
  }
  return [_value_name(name) for name in tables[kind]]


def features_of(loss):
  """Whether a loss compares features, so that D must return several."""
  return losses.LOSSES[_library_value(loss)].output == 'features'


def versions():
  """The libraries whose change may move numbers."""
  found = ('jax', 'flax', 'optax', 'numpy', 'PIL')
  return {name: importlib.import_module(name).__version__ for name in found}


# ---- Settings and configs.


# A new config does not join them: tests/experiment/test_configs.py runs it.
_RECORDED = (
  *('cifar10', 'd2l_gaussian', 'digits', 'fashion_mnist', 'folder'),
  *('grid', 'mnist', 'ring', 'stacked_mnist'),
)


def configs():
  """Every (config, variant), by what the files themselves allow."""
  found = []
  for name in _RECORDED:
    for variant in ('', 'pacgan', 'pacgan_short', 'rpgan', 'test'):
      try:
        _config(name, variant)
      except ValueError:
        continue
      found.append((name, variant))
  return found


def _config(name, variant):
  module = importlib.import_module(f'configs.{name}')
  return module.get_config(variant).to_dict()


def config_settings(name, variant):
  """A config as it is written, {path: value}."""
  return _records_settings(_config(name, variant))


def example_shape(chosen):
  """The shape of an example of a config's data."""
  if chosen['data.name'] in ('gaussian', 'ring', 'grid'):
    return (2,)
  if chosen['data.name'] in ('audio', 'tones'):
    return (chosen['data.length'], 1)
  size = chosen['data.size']
  return (size, size, chosen.get('data.channels', 3))


def resolved_settings(name, variant):
  """A config with all that the library fills in, {path: value}; no data."""
  config = config_lib.resolve(_config(name, variant))
  whole = config_lib.to_dict(config)
  for penalty in training.PENALTIES:
    whole['penalties'].setdefault(penalty, {'weight': 0.0})
  found = _records_settings(whole)
  for key, value in build_hparams.build_hparams(config).items():
    path = _translated(_TABLES['hyper'], key, _value_name)
    found[f'hyper/{path}'] = float(value)
  return found


def default_settings():
  """Defaults, {path: value}; of parts what does not depend on the choice."""
  whole = config_lib.defaults()
  for part in _PARTS:
    kept = ('name', 'learning_rate')
    whole[part] = {k: v for k, v in whole[part].items() if k in kept}
  del whole['loss_options']
  return _records_settings(whole)


# ---- Building and running.


def array_source(x, label=None):
  """Arrays as a source of data."""
  return ArraySource(x, label)


def build(overrides, source):
  """An experiment of settings {path: value}, on a source of one's own."""
  own = {k: v for k, v in overrides.items() if not k.startswith('data.')}
  return experiment.build(_library_settings(own), train=source)


def scaled(tree, factor):
  """A state with its kernels (the averaged ones, too) times a factor."""
  table = _TABLES['state']
  is_kernel = lambda path: 'kernel' in table.get(_segment(path[-1]), '')
  return jax.tree_util.tree_map_with_path(
    lambda path, x: x * np.float32(factor) if is_kernel(path) else x,
    jax.device_get(tree),
  )


def initial_state(built, factor, *, compiled=True):
  """A state of the host at step 0, kernels times a factor.

  Args:
    built: the experiment.
    factor: on kernels.
    compiled: whether as one program; else one operation after another, which
      are compiled once for all experiments of the same shapes.
  """
  with jax.disable_jit(not compiled):
    start = built.init_state()
  return scaled(start, factor)


def run_steps(built, start, count):
  """(state, metrics of the last step) by one call a step."""
  placed = built.parallel_train_step()
  now, key = placed.put(start), placed.put(built.key)
  with built.batches(put=placed.put_batch) as batches:
    for _ in range(count):
      now, found = placed.step(now, next(batches), key)
  return jax.device_get(now), _metrics(found)


def run_fused(built, start, count):
  """The same by the program of many steps, in calls as large as it allows."""
  program = built.program()
  now, draws = program.put(start), program.put(built.streams)
  step = 0
  with program.feed(0) as feed:
    while step < count:
      most = min(count - step, program.max_steps)
      examples, n = feed.take(step, most, lambda: None)
      now, found = program.run(now, examples, draws, np.int32(n))
      step += n
  last = {name: rows[n - 1] for name, rows in found.items()}
  return jax.device_get(now), _metrics(last)


def is_resident(built):
  """Whether the program gathers its batches of a set on the device."""
  with built.program().feed(0) as feed:
    return type(feed).__name__ == 'ResidentFeed'


def _metrics(found):
  penalties = {name: _value_name(name) for name in training.PENALTIES}
  table = penalties | _TABLES['metrics']
  scheduled = ('learning_rate', '_weight', '_sigma', '_decay')
  return {
    table[name]: float(x)
    for name, x in found.items()
    if not name.endswith(scheduled)
  }


def _segment(key):
  for attribute in ('name', 'key', 'idx'):
    if hasattr(key, attribute):
      return str(getattr(key, attribute))
  raise KeyError(key)


_AVERAGE = {'0': 'params', '1': 'stats'}


def state_leaves(tree):
  """A state as {path in the records: array}."""
  table, found = _TABLES['state'], {}
  for path, x in jax.tree_util.tree_flatten_with_path(tree)[0]:
    parts = [_segment(key) for key in path]
    renamed = [table[parts[0]]]
    rest = parts[1:]
    if renamed[0] == 'average':
      renamed.append(_AVERAGE[rest.pop(0)])
    elif renamed[0] == 'hyper':
      renamed.append(_translated(_TABLES['hyper'], rest.pop(0), _value_name))
    for part in rest:
      stem, _, number = part.rpartition('_')
      if part.isdigit() or part in training.PENALTIES:
        renamed.append(_value_name(part))
      elif number.isdigit() and stem in table:
        renamed.append(f'{table[stem]}_{number}')
      elif part in table:
        renamed.append(table[part])
      else:
        raise KeyError(f'{part!r} has no line in NAMES of {__file__}: {parts}')
    found['/'.join(renamed)] = np.asarray(x)
  return found


def evaluation_samples(built, tree, weights, count):
  """Samples of the weights 'average' or 'raw', with standing statistics."""
  player = tree.generator
  both = {'average': tree.ema, 'raw': (player.params, player.batch_stats)}
  fit = standing_stats.evaluation_weights(built.gan, both[weights])
  return sampling.make_sampler(built.gan)(fit, count)


# ---- What is random.


def keys_of_steps(count, devices=1):
  """What each purpose of a key was given at the first steps, as integers.

  The game's parts do nothing but note what they are given: networks in their
  statistics, penalties in their memory, and the augmentation in the examples,
  which D notes. Keys of G's networks and penalties are those of G's step.
  """
  bits = lambda key: jax.random.key_data(key).astype(jnp.uint32)

  def g_apply(params, stats, x, label=None, *, train, key, axis_name):
    del stats, label, train, axis_name
    fake = jnp.zeros((len(x), 4)) * params['kernel']
    return fake, {'latents': x, 'key': bits(key)}

  def d_apply(params, stats, x, label=None, *, train, key, axis_name):
    del label, train, axis_name
    seen = {'inputs': x, 'key': bits(key)}
    return x[:, 0] * params['kernel'], {'last': seen, 'before': stats['last']}

  def note(context, keys, memory):
    del context, memory
    return jnp.zeros(len(keys)), bits(keys)

  def halves(x, keys, *, strength):
    del strength
    words = bits(keys)
    parts = [words >> 16, words & 0xFFFF]
    return jnp.stack(parts, axis=-1).reshape(len(x), 4).astype(jnp.float32)

  params, size = {'kernel': jnp.float32(0)}, 8
  zero_key = jnp.zeros(2, jnp.uint32)
  seen = {'inputs': jnp.zeros((size, 4)), 'key': zero_key}
  g_stats = {'latents': jnp.zeros((size, 3)), 'key': zero_key}
  term = training.LossTerm(note, aux_state=jnp.zeros((size, 2), jnp.uint32))
  sides = {
    player: {
      n: term._replace(noise_id=training.make_term(n).noise_id)
      for n, t in training.PENALTIES.items()
      if t.player == player
    }
    for player in ('generator', 'discriminator')
  }
  options = training.OPTIMIZERS['sgd'](0.0)

  def taken(**parts):
    gan = training.GAN(
      generator=networks.Network(lambda *_: (params, g_stats), g_apply),
      discriminator=networks.Network(
        lambda *_: (params, {'last': seen, 'before': seen}), d_apply
      ),
      loss=losses.LOSSES['wasserstein'],
      latent_dim=3,
      g_optimizer=options,
      d_optimizer=options,
      g_terms=sides['generator'],
      d_terms=sides['discriminator'],
      **parts,
    )
    hyper = {'ema_decay': 0.0, 'augment_strength': 1.0}
    hyper |= {f'{name}_weight': 1.0 for name in training.PENALTIES}
    x = jnp.zeros((1, size, 4))
    now = training.init_state(gan, jax.random.key(0), {'x': x[0]}, hyper)
    step, rows = jax.jit(training.make_train_step(gan)), []
    for _ in range(count):
      now, _ = step(now, {'x': x}, fused.make_streams(0).key)
      rows.append(jax.device_get(now))
    return rows

  augmented = taken(augment=training.Augmentation(halves))
  noisy = taken(instance_noise=lambda hyper, step: jnp.float32(1))
  found = []
  for one, other in zip(augmented, noisy):
    d_stats = one.discriminator.batch_stats
    d_noise = other.discriminator.batch_stats
    found.append(
      {
        'latents': one.generator.batch_stats['latents'],
        'generator': one.generator.batch_stats['key'],
        'discriminator real': d_stats['before']['key'],
        'discriminator fake': d_stats['last']['key'],
        'augment real': d_stats['before']['inputs'].astype(np.int64),
        'augment fake': d_stats['last']['inputs'].astype(np.int64),
        'noise real': d_noise['before']['inputs'],
        'noise fake': d_noise['last']['inputs'],
        **{
          f'penalty {_value_name(n)}': one.aux_state[n]
          for n in training.PENALTIES
        },
      }
    )
  return found


def first_key(seed, rollbacks=0):
  """Words of a run's base key, and the seed of its order of data."""
  draws = fused.make_streams(seed, rollbacks)
  return [*jax.random.key_data(draws.key).tolist(), int(draws.seed)]


def batch_indices(size, batch_size, d_steps, count, seed=0):
  """Which examples the first steps read, by the host and by the device."""
  source = array_source(np.arange(size, dtype=np.float32)[:, None])
  sizes = dict(batch_size=batch_size, d_steps=d_steps)
  with data.BatchIterator(
    source, seed=seed, start=0, put=lambda x: x, **sizes
  ) as b:
    host = [next(b)['x'][..., 0].astype(int) for _ in range(count)]
  pick = fused.gather_batch(size, **sizes)
  order = fused.make_streams(seed).seed
  feed = {'x': jnp.arange(size)}
  batch_at = pick(feed, jnp.int32(0), order, count)
  device = [batch_at(jnp.int32(t), jnp.int32(0))['x'] for t in range(count)]
  return np.stack(host), np.stack(device)


def open_source(options, split='train'):
  """A source of data by its settings {path: value}."""
  config = config_lib.resolve(_library_settings(options))
  return data.make_source(experiment_lib.data_spec(config), split)


def fake_downloads(monkeypatch):
  """Puts arrays where TFDS would read pictures that were downloaded."""

  def images(split, *, dataset, data_dir, size, channels):
    del dataset, data_dir
    rng = np.random.default_rng(('train', 'test').index(split))
    x = rng.integers(0, 256, (50, size, size, channels), np.uint8)
    return ArraySource(x, np.arange(50) % 10)

  images.__signature__ = inspect.signature(tfds.tfds)
  monkeypatch.setattr(tfds, 'tfds', images)


def first_batch(source, batch_size=8, seed=0):
  """The first batch of a source: {name: (shape, type, hash of its bytes)}."""
  with data.BatchIterator(
    source, seed=seed, batch_size=batch_size, d_steps=1, start=0, put=dict
  ) as batches:
    batch = next(batches)
  return {
    name: [
      list(x.shape),
      str(x.dtype),
      hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest(),
    ]
    for name, x in batch.items()
  }


# ---- Scores.


def _features(x):
  return x.astype(jnp.float32).reshape(len(x), -1)


@functools.cache
def _fid_like():
  """Passes for the Inception network: the examples, and logits of them."""
  return evaluation.FeatureExtractor(
    'inception',
    lambda params, x: _features(x) * params,
    jnp.float32(1),
    64,
    logits=lambda params, features: features[:, :3] * params,
    is_reference_inception=True,
  )


def _truth(name, seed):
  """A source of the kind that a score of a known truth is for."""
  if name == 'stacked':
    rng = np.random.default_rng(seed)
    digits = rng.integers(0, 256, (30, 28, 28, 1), np.uint8)
    index = rng.integers(30, size=(12, 3))
    truth = stacked_mnist.StackedMnistModes('mnist')
    return stacked_mnist.StackedSource(digits, np.arange(30) % 10, index, truth)
  return getattr(synthetic, name)('train', size=100, seed=seed)


_TRUTHS = {'kl': 'gaussian', 'modes': 'ring', 'stacked_modes': 'stacked'}


def scores(metric, train, test, fake, count):
  """{name: [value, error, floor, floor error, p, floor p]} of a metric.

  Args:
    metric: its name in the records.
    train: (examples, classes), and so are test and fake.
    test: the held-out ones.
    fake: those that are scored.
    count: how many are scored.
  """
  name = _library_value(metric)
  entry = evaluation.METRICS[name]
  if entry.distribution:
    kind = _TRUTHS[metric]
    train, test, fake = (_truth(kind, seed) for seed in (0, 1, 2))
    if kind != 'stacked':
      fake.x = fake.x * np.float32(0.97) + np.float32(0.01)
    count = min(count, len(fake))
  else:
    train, test, fake = (
      ArraySource(x, label if entry.needs_labels else None)
      for x, label in (train, test, fake)
    )
  of = evaluation.Evaluator(
    reference_data.train_test_references(train, test),
    (name,),
    extractor=_fid_like()
    if entry.features == 'inception' or entry.needs_logits
    else None,
    count=count,
  )
  number = lambda x: None if x is None or not math.isfinite(x) else float(x)
  return {
    f'{i} of {metric}': [
      number(x)
      for x in (
        row.value,
        row.error,
        row.baseline,
        row.baseline_error,
        row.p_value,
        row.baseline_p_value,
      )
    ]
    for i, row in enumerate(of(fake))
  }


# ---- Many runs, and runs on disk.


def build_team(overrides, source):
  """Many runs as one program."""
  return experiment.build_ensemble(_library_settings(overrides), train=source)


def member_points(crew):
  """Seed and swept settings of every member, {number: {path: value}}."""
  return {
    str(i): {
      'seed': one.config.seed,
      **{
        _translated(_TABLES['settings'], path, _value_name): value
        for path, value in one.point.items()
      },
    }
    for i, one in enumerate(crew.members)
  }


def run_team(crew, count, way):
  """The states of all members after some steps, 'vmap' or 'map'."""
  program = crew.program(way)
  start = scaled(crew.init_state(), 1)
  now, draws = program.put(start), program.put(crew.streams)
  with program.feed(0) as feed:
    examples, count = feed.take(0, count, lambda: None)
    now, found = program.run(now, examples, draws, np.int32(count))
  return jax.device_get(now), {k: v[:, count - 1] for k, v in found.items()}


def member(tree, found, index):
  """(state, metrics) of one member."""
  one = {name: x[index] for name, x in found.items()}
  return ensemble.take_member(tree, index), _metrics(one)


def extracted_member(crew, tree, index, directory):
  """A member's state, from a run that was made of it on disk."""
  whole, one = directory / 'crew', directory / 'one'
  _save_run(crew, tree, whole)
  extract_member.extract_member(whole, index, one)
  return run_dir.restore(one)[3]


def _save_run(built, tree, workdir):
  workdir.mkdir()
  files.write_json(workdir / run_dir.CONFIG_FILE, run_dir.run_metadata(built))
  with run_dir.open_checkpoints(built, workdir) as saved:
    saved.save(int(np.max(tree.step)), tree)


def restored_steps(built, start, directory):
  """Steps of what is restored of a run of 4, whose best score was at 2."""
  workdir = directory / 'run'
  at = lambda step: start.replace(step=np.int32(step))
  _save_run(built, at(4), workdir)
  row = results.MetricResult(
    'fd', 'fd', 0.0, 0, 0, 0, None, None, 'lower', '', {}, 'train'
  )
  with best_checkpoint.BestCheckpointTracker(
    workdir, {'metrics': 'fd'}
  ) as kept:
    for step, value in ((1, 3.0), (2, 1.0), (4, 2.0)):
      kept.update(step, at(step), [row._replace(value=value)])
  return {
    'latest': run_dir.load_sampler(workdir, checkpoint='latest').step,
    'best': run_dir.load_sampler(workdir, checkpoint='best').step,
    'by default': run_dir.load_sampler(workdir).step,
  }
