"""The tables of facts agree with the functions and modules that they are of."""

import dataclasses
import importlib
import inspect
import pkgutil

import jax
import jax.numpy as jnp
import pytest

from gan_jax import augment, data, evaluation, layers, losses, models, training
from gan_jax import config as config_lib
from gan_jax.augment import ada_pipe, diff_augment_pipe
from gan_jax.config import augment as augment_config
from gan_jax.config import data as data_config
from gan_jax.config import evaluation as evaluation_config
from gan_jax.config import fields, schema
from gan_jax.config import networks as networks_config
from gan_jax.config import optimizers as optimizers_config
from gan_jax.config import schedules as schedules_config
from gan_jax.data import stacked_mnist, synthetic
from gan_jax.distributed import devices
from gan_jax.evaluation.networks import preprocess
from gan_jax.layers import linear
from gan_jax.losses.base import accepts
from gan_jax.training import ensemble, optimizers, penalty_terms, schedules

CONFIG = config_lib.Config()
LOSSES_FILE = 'gan_jax/config/losses.py'
PENALTIES_FILE = 'gan_jax/config/penalties.py'
NETWORKS_FILE = 'gan_jax/config/networks.py'
OPTIMIZERS_FILE = 'gan_jax/config/optimizers.py'
AUGMENT_FILE = 'gan_jax/config/augment.py'
DATA_FILE = 'gan_jax/config/data.py'
EVALUATION_FILE = 'gan_jax/config/evaluation.py'


def assert_equal(in_config, expected, where, file):
  """Asserts that a table of the config is what the functions say.

  Args:
    in_config: What the config has.
    expected: What the functions have.
    where: Name of the table or section.
    file: The file that has it, for the message.
  """
  assert in_config == expected, (
    f'{where} in {file} is {in_config!r}, but the functions say {expected!r}: '
    f'edit {where} in {file}'
  )


def options_of(section):
  """Returns the defaults of a section."""
  return dict(fields.children(section))


def keyword_defaults(function):
  parameters = inspect.signature(function).parameters.values()
  return {p.name: p.default for p in parameters if p.kind == p.KEYWORD_ONLY}


# ------------------------------------------------------------ losses


def test_every_loss_is_there():
  assert_equal(
    list(config_lib.LOSSES), list(losses.LOSSES), 'LOSSES', LOSSES_FILE
  )
  having = [name for name, _ in fields.children(CONFIG.loss_options)]
  assert_equal(having, list(losses.FACTORIES), 'LossOptions', LOSSES_FILE)


@pytest.mark.parametrize('name', losses.LOSSES)
def test_facts_of_a_loss(name):
  loss, facts = losses.LOSSES[name], config_lib.LOSSES[name]
  expected = loss.coupled, loss.output, accepts(loss.discriminator, 'smoothing')
  written = facts.coupled, facts.output, facts.has_targets
  where = f'LOSSES[{name!r}] (coupled, output, has_targets)'
  assert_equal(written, expected, where, LOSSES_FILE)


@pytest.mark.parametrize('name', losses.FACTORIES)
def test_options_of_a_loss(name):
  section = getattr(CONFIG.loss_options, name)
  expected = keyword_defaults(losses.FACTORIES[name])
  where = f'the section of loss_options.{name}'
  assert_equal(options_of(section), expected, where, LOSSES_FILE)


@pytest.mark.parametrize(
  'name', [n for n in losses.LOSSES if losses.LOSSES[n].output != 'scores']
)
def test_smallest_batch_of_a_loss(name):
  def value(size):
    logits = jax.ShapeDtypeStruct((size,), jnp.float32)
    both = lambda real, fake: [
      losses.player_loss(losses.LOSSES[name], player, real, fake, None)
      for player in ('discriminator', 'generator')
    ]
    return jax.eval_shape(both, logits, logits)

  smallest = config_lib.LOSSES[name].min_batch
  value(smallest)
  if smallest > 1:
    with pytest.raises(ValueError, match='at least 2'):
      value(smallest - 1)


# ------------------------------------------------------------ penalties


def test_every_penalty_is_there():
  expected = list(training.PENALTIES)
  assert_equal(
    list(config_lib.PENALTIES), expected, 'PENALTIES', PENALTIES_FILE
  )
  sections = [name for name, _ in fields.children(CONFIG.penalties)]
  assert_equal(sections, expected, 'Penalties', PENALTIES_FILE)


@pytest.mark.parametrize('name', config_lib.PENALTIES)
def test_facts_and_options_of_a_penalty(name):
  facts, entry = config_lib.PENALTIES[name], training.PENALTIES[name]
  names = facts._fields
  assert_equal(
    tuple(facts),
    tuple(getattr(entry, field) for field in names),
    f'PENALTIES[{name!r}] ({", ".join(names)})',
    PENALTIES_FILE,
  )
  section = options_of(getattr(CONFIG.penalties, name))
  own = penalty_terms.penalty_options(name)
  expected = {'weight': 0.0, 'every': 1, **own}
  where = f'the section of penalties.{name}'
  assert_equal(section, expected, where, PENALTIES_FILE)


# ------------------------------------------------------------ other parts


def test_policies_and_defaults_of_augmentations():
  names = tuple(augment.AUGMENTS)
  assert_equal(
    augment_config.AUGMENTS, ('none', *names), 'AUGMENTS', AUGMENT_FILE
  )
  assert_equal(
    augment_config.Augment.sections(), names, 'Augment', AUGMENT_FILE
  )
  assert (
    augment_config.DIFF_AUGMENT_POLICY == diff_augment_pipe.DIFF_AUGMENT_POLICY
  )
  assert augment_config.ADA_POLICY == ada_pipe.ADA_POLICY
  assert augment_config.ADA_DEFAULT == ada_pipe.ADA_DEFAULT
  for name in augment.AUGMENTS:
    section = options_of(getattr(CONFIG.augment, name))
    function = keyword_defaults(augment.AUGMENTS[name])
    assert section['policy'] == function['policy']
    assert section['speed'] == keyword_defaults(augment.update_ada)['speed']


@pytest.mark.parametrize('name', training.OPTIMIZERS)
def test_options_of_an_optimizer(name):
  section = getattr(CONFIG.d_optimizer, name)
  expected = optimizers.hparam_defaults(name)
  where = f'the section of {name}'
  assert_equal(options_of(section), expected, where, OPTIMIZERS_FILE)


def test_names_of_optimizers_and_rules():
  names, rules = tuple(training.OPTIMIZERS), tuple(training.UPDATE_RULES)
  for written, expected, where in (
    (optimizers_config.OPTIMIZERS, names, 'OPTIMIZERS'),
    (optimizers_config.Optimizer.sections(), names, 'Optimizer'),
    (optimizers_config.UPDATE_RULES, rules, 'UPDATE_RULES'),
  ):
    assert_equal(written, expected, where, OPTIMIZERS_FILE)
  shapes = tuple(schedules.SHAPES)
  file = 'gan_jax/config/schedules.py'
  assert_equal(schedules_config.SHAPES, shapes, 'SHAPES', file)


def test_names_of_the_models():
  found = [m.name for m in pkgutil.iter_modules(models.__path__)]
  names = tuple(models.MODELS)
  assert set(names) == set(found), 'edit MODELS in gan_jax/models/__init__.py'
  for written, expected, where in (
    (tuple(config_lib.MODELS), names, 'MODELS'),
    (networks_config.Generator.sections(), names, 'Generator'),
    (networks_config.Discriminator.sections(), names, 'Discriminator'),
    (networks_config.NORMS, layers.NORMS, 'NORMS'),
    (networks_config.INITIALIZERS, tuple(layers.INITIALIZERS), 'INITIALIZERS'),
    (networks_config.POOLINGS, linear.POOLINGS, 'POOLINGS'),
    (networks_config.ACTIVATIONS, tuple(layers.ACTIVATIONS), 'ACTIVATIONS'),
  ):
    assert_equal(written, expected, where, NETWORKS_FILE)


@pytest.mark.parametrize('player', ['generator', 'discriminator'])
@pytest.mark.parametrize('name', config_lib.MODELS)
def test_options_of_a_model(name, player):
  module = importlib.import_module(f'gan_jax.models.{name}')
  made = dataclasses.fields(getattr(module, player.capitalize()))
  given = {'parent', 'name', 'shape', 'axis_name', 'batches'}
  given |= {'return_features', 'dtype'}
  given |= {'classes', 'class_heads', 'return_reconstructions'}
  defaults = {f.name: f.default for f in made if f.name not in given}
  section = options_of(getattr(getattr(CONFIG, player), name))
  where = f'the section of {player}.{name}'
  assert_equal(section, defaults, where, NETWORKS_FILE)
  for field in ('dtype', 'classes'):
    has = field in {f.name for f in made}
    where = f'MODELS[{name!r}] (has_{field})'
    fact = getattr(config_lib.MODELS[name], f'has_{field}')
    assert_equal(fact, has, where, NETWORKS_FILE)
  if player == 'discriminator':
    decodes = 'return_reconstructions' in {f.name for f in made}
    fact, where = config_lib.MODELS[name].has_decoders, f'MODELS[{name!r}]'
    assert_equal(fact, decodes, f'{where} (has_decoders)', NETWORKS_FILE)


def test_names_of_the_sources():
  names = tuple(data.SOURCES)
  assert_equal(data_config.SOURCES, (*names, 'own'), 'SOURCES', DATA_FILE)
  assert_equal(data_config.Data.sections(), names, 'Data', DATA_FILE)


@pytest.mark.parametrize('name', data.SOURCES)
def test_options_of_a_source(name):
  section = options_of(getattr(CONFIG.data, name))
  expected = keyword_defaults(data.SOURCES[name])
  assert_equal(section, expected, f'the section of data.{name}', DATA_FILE)


def test_names_of_backends_features_and_protocols():
  assert schema.PARALLEL == devices.BACKENDS
  assert schema.BACKENDS == ('', *ensemble.BACKENDS)
  assert evaluation_config.FEATURES == evaluation.FEATURE_EXTRACTORS
  assert evaluation_config.PROTOCOLS == tuple(preprocess.PREPROCESSORS)


def test_facts_of_the_metrics():
  known = {
    synthetic.Gaussian: ('gaussian',),
    synthetic.Mixture: ('ring', 'grid'),
    stacked_mnist.StackedMnistModes: ('stacked_mnist',),
    None: (),
  }
  names = list(evaluation.METRICS)
  assert_equal(list(config_lib.METRICS), names, 'METRICS', EVALUATION_FILE)
  for name, metric in evaluation.METRICS.items():
    facts = config_lib.METRICS[name]
    assert facts.inception == (metric.features == 'inception')
    assert facts.needs_labels == metric.needs_labels
    has_own_head = metric.features == 'inception'
    assert facts.needs_class_head == (metric.needs_logits and not has_own_head)
    assert facts.sources == known[metric.distribution]


def test_known_distributions_of_sources():
  for name, kind in (('gaussian', synthetic.Gaussian), ('ring', None)):
    source = data.make_source({'name': name, 'size': 4})
    assert isinstance(source.distribution, kind or synthetic.Mixture)


# ------------------------------------------------------------ the schema


def sections(section=CONFIG, where='config'):
  yield where, section
  for name, value in fields.children(section):
    if fields.is_section(value):
      yield from sections(value, f'{where}.{name}')


@pytest.mark.parametrize('where', [where for where, _ in sections()])
def test_every_field_is_documented(where):
  section = type(dict(sections())[where])
  documented = inspect.getdoc(section) + (
    inspect.getdoc(section.__base__) or ''
  )
  for field in dataclasses.fields(section):
    assert f'\n  {field.name}: ' in documented, field.name


def test_defaults_are_of_the_type_that_is_written():
  kinds = {'int': int, 'float': float, 'str': str, 'bool': bool}
  for _, section in sections():
    for field in dataclasses.fields(section):
      name = field.type if isinstance(field.type, str) else field.type.__name__
      if name in kinds:
        assert type(field.default) is kinds[name], field.name
      elif name == 'tuple':
        assert type(field.default) is tuple
        # The empty tuple lets entries of any type pass; a rule checks them.
        assert field.default or field.name in ('points', 'writers'), field.name


def test_other_names_lead_somewhere_and_hide_nothing():
  from gan_jax.config import losses as loss_config
  from gan_jax.config import penalties as penalty_config

  tables = (
    (config_lib.LOSSES, loss_config.LOSS_ALIASES, loss_config.LOSS_POINTERS),
    (
      config_lib.PENALTIES,
      penalty_config.PENALTY_ALIASES,
      penalty_config.PENALTY_POINTERS,
    ),
    (config_lib.METRICS, evaluation_config.METRIC_ALIASES, {}),
    (data_config.SOURCES, data_config.SOURCE_ALIASES, {}),
    (augment_config.AUGMENTS, augment_config.AUGMENT_ALIASES, {}),
  )
  for names, aliases, pointers in tables:
    assert set(aliases.values()) <= set(names)
    assert not set(names) & (set(aliases) | set(pointers))
    assert not set(aliases) & set(pointers)
    spelled = [*names, *aliases, *pointers]
    assert [fields.normalize(name) for name in spelled] == spelled
