"""From settings to a loss, penalties, augmentation and noise.

Each function checks one part of the settings, fills its options in, and
returns what training.GAN takes, with the hyper-parameters that go into the state.
"""

import functools
import math
from typing import Any, Callable, Mapping

import jax.numpy as jnp

from gan_jax import augment, losses, training, validation
from gan_jax import config as config_lib
from gan_jax.augment import ada_controller
from gan_jax.training import Augmentation, LossTerm, penalty_terms
from gan_jax.training.gan import Hparams

Spec = Mapping[str, Any]


def _between(where: str, value: float, low: float, high: float) -> None:
  if not low <= value <= high:
    raise ValueError(f'{where}={value}: must be between {low} and {high}')


def _at_least(where: str, value: float, low: float) -> None:
  if not value >= low:
    raise ValueError(f'{where}={value}: must be at least {low}')


def build_loss(config: config_lib.Config):
  """The loss with what is wrapped round it.

  Args:
    config: the settings.

  Returns:
    (loss for training.GAN, hyper-parameters, loss_options filled in, top_k filled
    in, what D must return).

  Raises:
    ValueError: for an unknown loss or option, numbers out of range, smoothing
      of a loss without targets, top-k of one without logits.
  """
  loss = validation.lookup(losses.LOSSES, config.loss, 'loss')
  factory = losses.FACTORIES.get(config.loss)
  allowed = validation.keyword_defaults(factory) if factory else {}
  options = validation.fill_options(
    f'loss {config.loss}', config.loss_options, allowed
  )
  if options:
    loss = factory(**options)
  wrap, hparams = [], {}
  if config.label_smoothing:
    losses.smooth_labels(loss, config.label_smoothing)  # or refuses
    hparams['label_smoothing'] = config.label_smoothing
    wrap.append(
      lambda loss, hparams, step: losses.smooth_labels(
        loss, hparams['label_smoothing']
      )
    )
  count, top_k = _build_top_k(config)
  if count is not None:
    losses.top_k(loss, 1)  # or refuses
    wrap.append(lambda loss, hparams, step: losses.top_k(loss, count(step)))

  def wrapped(hparams: Hparams, step):
    return functools.reduce(lambda x, w: w(x, hparams, step), wrap, loss)

  return wrapped if wrap else loss, hparams, options, top_k, loss.output


def _build_top_k(config: config_lib.Config):
  """step -> k (None where all count), and the spec filled in."""
  allowed = {'fraction': 1.0, 'gamma': 1.0, 'every': 0}
  spec = validation.fill_options('top_k', config.top_k, allowed)
  if not 0 < spec['fraction'] <= 1:
    raise ValueError(
      f'top_k.fraction={spec["fraction"]}: k must be above 0 and at most the '
      'batch; a fraction in (0, 1]'
    )
  if not 0 < spec['gamma'] <= 1:
    raise ValueError(f'top_k.gamma={spec["gamma"]}: must be in (0, 1]')
  _at_least('top_k.every', spec['every'], 0)
  if spec['gamma'] < 1 and not (spec['every'] and spec['fraction'] < 1):
    raise ValueError(
      f'top_k={spec}: gamma below 1 lets k fall every so many steps towards a '
      'fraction; it needs an every above 0 and a fraction below 1'
    )
  inputs = config.batch_size // config.packing
  if spec['gamma'] < 1:
    return functools.partial(
      losses.top_k_count, batch_size=inputs, **spec
    ), spec
  k = max(1, math.ceil(spec['fraction'] * inputs - 1e-4))
  return (None if k >= inputs else lambda step: k), spec


def build_penalties(config: config_lib.Config):
  """The penalties.

  Args:
    config: the settings.

  Returns:
    (d_terms, g_terms, their weights as hyper-parameters, specs filled in).

  Raises:
    ValueError: for an unknown penalty or option, or a number out of range.
  """
  found: dict[str, dict[str, LossTerm]] = {'discriminator': {}, 'generator': {}}
  weights, filled = {}, {}
  for name, spec in config.penalties.items():
    entry = validation.lookup(training.PENALTIES, name, 'penalty')

    options = validation.fill_options(
      f'penalty {name}',
      spec,
      config_lib.PENALTY_COMMON | penalty_terms.penalty_options(name),
    )
    where = f'penalties.{name}'
    _at_least(f'{where}.weight', options['weight'], 0)
    _at_least(f'{where}.every', options['every'], 1)
    _at_least(f'{where}.steps', options['steps'], 0)
    if not options['final'] > 0:
      raise ValueError(f'{where}.final={options["final"]}: must be above 0')
    if not options['weight']:
      filled[name] = {'weight': 0.0}
      continue
    _check_numbers(where, options)
    if options['final'] != 1:
      options['steps'] = options['steps'] or config.num_steps
    filled[name] = dict(options)
    weights[f'{name}_weight'] = options.pop('weight')
    factor = geometric_decay(options.pop('final'), options.pop('steps'))
    term = training.make_term(name, factor=factor, **options)
    found[entry.player][name] = term
  return found['discriminator'], found['generator'], weights, filled


def _check_numbers(where: str, options: Spec) -> None:
  for option, value in options.items():
    if option == 'decay':
      _between(f'{where}.decay', value, 0, 1)
    elif isinstance(value, float):
      if not math.isfinite(value):
        raise ValueError(f'{where}.{option}={value}: must be finite')
      _at_least(f'{where}.{option}', value, 0)


def geometric_decay(final: float, steps: int) -> Callable[[Any], Any] | None:
  """step -> factor from 1 to `final`; None where it stays 1."""
  if final == 1:
    return None
  return lambda step: final ** jnp.minimum(step / steps, 1.0)


def build_augment(
  spec: Spec, batch_size: int, packing: int = 1
) -> tuple[Augmentation | None, dict[str, float], dict[str, Any]]:
  """The augmentation.

  Args:
    spec: `settings.augment`.
    batch_size: examples of the global batch.
    packing: examples per logit.

  Returns:
    (the augmentation or None, hyper-parameters, the spec filled in).

  Raises:
    ValueError: for an unknown name, option or transform, or a number out of
      range.
  """
  name = spec.get('name')
  table = {'none': None, **augment.AUGMENTS}
  function = validation.lookup(table, name, 'augment')
  if function is None:
    validation.fill_options('augment none', dict(spec), {'name': 'none'})
    return None, {}, {'name': 'none'}
  policy = validation.keyword_defaults(function)['policy']
  adaptive = name == 'ada'
  allowed = {
    'policy': policy,
    'strength': 0.0 if adaptive else 1.0,
    'target': 0.6 if adaptive else 0.0,
    'speed': 500_000,
    'interval': 4,
  }
  given = {k: v for k, v in spec.items() if k != 'name'}
  options = validation.fill_options(f'augment {name}', given, allowed)
  options['policy'] = tuple(options['policy'])
  _between('augment.strength', options['strength'], 0, 1)
  _between('augment.target', options['target'], 0, 1)
  for option in ('speed', 'interval'):
    _at_least(f'augment.{option}', options[option], 1)
  filled = {'name': name, **options}
  if not options['policy']:
    raise ValueError(
      f'augment.policy=(): must hold some of {", ".join(policy)}; to augment '
      "nothing, augment.name='none'"
    )
  if not options['target'] and not options['strength']:
    raise ValueError(
      'augment.strength=0.0 with augment.target=0.0 never augments anything: '
      'one must be above 0'
    )
  apply = functools.partial(function, policy=options['policy'])
  if not options['target']:
    hparams = {'augment_strength': options['strength']}
    return Augmentation(apply), hparams, filled
  update = functools.partial(
    ada_controller.update_ada,
    target=options['target'],
    # Of logits, of which there is one per pack.
    speed=options['speed'] / packing,
    interval_examples=options['interval'] * (batch_size // packing),
  )
  memory = ada_controller.init_ada(options['strength'])
  return Augmentation(apply, update, memory), {}, filled


def build_instance_noise(spec: Spec):
  """Instance noise.

  Args:
    spec: `settings.instance_noise`.

  Returns:
    ((hparams, step) -> sigma or None, hyper-parameters, the spec filled in).

  Raises:
    ValueError: for an unknown option or a number out of range.
  """
  allowed = {'sigma': 0.0, 'steps': 0}
  options = validation.fill_options('instance_noise', spec, allowed)
  for option in allowed:
    _at_least(f'instance_noise.{option}', options[option], 0)
  if not math.isfinite(options['sigma']):
    raise ValueError(f'instance_noise.sigma={options["sigma"]}: must be finite')
  if not options['sigma']:
    return None, {}, options

  def sigma(hparams: Hparams, step):
    return augment.linear_decay(
      step, start=hparams['noise_sigma'], steps=options['steps']
    )

  return sigma, {'noise_sigma': options['sigma']}, options


def build_lookahead(spec: Spec) -> tuple[dict[str, float], dict[str, Any]]:
  """Lookahead's hyper-parameter, the spec filled in.

  Raises:
    ValueError: for an unknown option or a number out of range.
  """
  options = validation.fill_options(
    'lookahead', spec, {'every': 0, 'alpha': 0.5}
  )
  _at_least('lookahead.every', options['every'], 0)
  _between('lookahead.alpha', options['alpha'], 0, 1)
  hparams = {'lookahead_alpha': options['alpha']} if options['every'] else {}
  return hparams, options
