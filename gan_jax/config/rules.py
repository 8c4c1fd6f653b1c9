"""Rules about options that depend on each other.

Each function takes a config whose leaves are of the right type and range, and
raises ValueError for a combination that has no meaning. What depends on the
data, their shape or the devices is checked where these are known.
"""

import dataclasses
import math
from typing import Any

from gan_jax import validation
from gan_jax.config import fields
from gan_jax.config.evaluation import (
  CLASS_HEAD_FEATURES,
  METRIC_ALIASES,
  METRICS,
  Eval,
)
from gan_jax.config.fields import canonical_name
from gan_jax.config.losses import LOSSES, OWN_LOSS, LossFacts
from gan_jax.config.networks import MODELS, OWN_MODEL
from gan_jax.config.penalties import PENALTIES
from gan_jax.config.schedules import Schedule, scheduled_names
from gan_jax.config.schema import WRITERS, Config
from gan_jax.config.sweeps import varied_names
from gan_jax.validation import unknown_name_message


def used_penalties(config: Config) -> tuple[str, ...]:
  """Returns the penalties of weight above 0, and those whose weight varies.

  Args:
    config: The config.
  """
  return tuple(
    name
    for name in PENALTIES
    if getattr(config.penalties, name).weight > 0
    or varies(config, f'penalties.{name}.weight')
  )


def varies(config: Config, name: str) -> bool:
  """Returns whether an option is swept, or changes over the run.

  Args:
    config: The config.
    name: Dotted name of the option.
  """
  varied = varied_names(config.ensemble)
  return name in varied or name in scheduled_names(config.schedules)


def loss_facts(config: Config) -> LossFacts:
  """Returns what is known of the loss.

  Args:
    config: The config.
  """
  return LOSSES.get(config.loss, OWN_LOSS)


def wants_features(config: Config) -> bool:
  """Returns whether the discriminator must return features beside logits.

  Args:
    config: The config.
  """
  if _wanting(config, 'features'):
    return True
  return loss_facts(config).output == 'scores'


def wants_reconstructions(config: Config) -> bool:
  """Returns whether the discriminator must decode its hidden layers.

  Args:
    config: The config.
  """
  return bool(_wanting(config, 'reconstructions'))


def _wanting(config: Config, output: str) -> list[str]:
  """Returns the penalties in use that want an output of the discriminator."""
  return [n for n in used_penalties(config) if output in PENALTIES[n].wants]


def class_heads(config: Config) -> tuple[str, ...]:
  """Returns the class heads of the discriminator, () if it has none.

  Args:
    config: The config.
  """
  if not config.conditional:
    return ()
  wanted = [h for n in used_penalties(config) for h in PENALTIES[n].class_heads]
  if config.class_conditioning == 'projection':
    wanted.append('projection')
  if config.class_conditioning == '' and not wanted:
    wanted.append('projection')
  return tuple(sorted(set(wanted)))


def fake_label_rule(config: Config) -> str:
  """Returns the rule for the classes of generated examples.

  Args:
    config: The config.

  Returns:
    'batch', 'uniform' or 'data'; 'batch' for networks that take no classes, or
    labels of another kind.
  """
  if not config.conditional:
    return 'batch'
  default = 'batch' if loss_facts(config).is_relative else 'uniform'
  return config.fake_labels or default


def hparam_options(config: Config) -> tuple[str, ...]:
  """Returns the dotted names of the options that may change over the run.

  Args:
    config: The config.
  """
  names = []
  for player in ('g_optimizer', 'd_optimizer'):
    part = getattr(config, player)
    own = [f'{part.name}.{name}' for name, _ in fields.children(part.options)]
    names += [f'{player}.{n}' for n in ('learning_rate', 'weight_clip', *own)]
  names += [f'penalties.{name}.weight' for name in PENALTIES]
  options = config.augment.options
  if options is not None and not options.target:
    names.append(f'augment.{config.augment.name}.strength')
  return (
    *names,
    *('ema_decay', 'ema_half_life', 'label_smoothing', 'consensus_weight'),
    *('instance_noise.sigma', 'lookahead.alpha'),
  )


def check_scheduled(config: Config, name: str, schedule: Schedule) -> None:
  """Refuses the schedule of an option that does not take it.

  Args:
    config: The config.
    name: Dotted name of the option.
    schedule: Its schedule.

  Raises:
    ValueError: If the option cannot change over the run, or takes other values.
  """
  allowed = hparam_options(config)
  if name not in allowed:
    raise ValueError(
      f'schedules: {unknown_name_message(name, allowed, "option of a schedule")}'
    )
  section: Any = config
  *path, last = name.split('.')
  for part in path:
    section = getattr(section, part)
  limits = next(
    f.metadata for f in dataclasses.fields(section) if f.name == last
  )
  for segment in schedule.segments:
    for value in (segment.start, segment.end):
      fields.check(f'schedules: {name}', value, limits)
  if name == 'ema_decay' and config.ema_half_life:
    raise ValueError(
      f'schedules: ema_decay, with ema_half_life={config.ema_half_life} in its '
      'place; schedule ema_half_life'
    )


def uses_top_k(config: Config) -> bool:
  """Returns whether the generator learns from fewer than all its examples.

  Args:
    config: The config.
  """
  inputs = config.batch_size // config.packing
  k = max(1, math.ceil(config.top_k.fraction * inputs - 1e-4))
  return config.top_k.gamma < 1 or k < inputs


def check_rules(config: Config) -> None:
  """Refuses combinations of options that have no meaning.

  Args:
    config: The config, its leaves checked.

  Raises:
    ValueError: Naming the options and what is allowed.
  """
  for rule in (
    _check_batch,
    _check_loss,
    _check_top_k,
    _check_penalties,
    _check_unconditional,
    _check_conditional,
    _check_class_losses,
    _check_augment,
    _check_networks,
    _check_micro_batches,
    _check_update_rule,
    _check_ensemble,
    _check_writers,
    _check_eval,
  ):
    rule(config)


def warn(config: Config) -> None:
  """Warns of combinations that work, but not as one would think.

  Args:
    config: The config.
  """
  for player in ('discriminator', 'generator'):
    by_example = [
      name
      for name in used_penalties(config)
      if PENALTIES[name].player == player and PENALTIES[name].per_example
    ]
    part, output = getattr(config, player), 'a logit'
    has_norm = getattr(part.options, 'norm', '') == 'batch'
    where = f"with {player}.{part.name}.norm='batch'"
    advice = "use norm='none', 'layer' or 'spectral'"
    facts = MODELS.get(part.name, OWN_MODEL)
    always = facts.always_batch_norm_in_d
    if player == 'generator':
      output, always = 'an example', facts.always_batch_norm
    if always:
      has_norm, where = True, f'with the batch norm of {part.name}'
      advice = f'use a {player} without it, such as dcgan or mlp'
    if by_example and has_norm:
      validation.warn(
        f'the penalty {", ".join(by_example)} is defined for each example, and '
        f'{where} {output} depends on its whole batch; {advice}'
      )


def _check_batch(config: Config) -> None:
  size, parts, packing = config.batch_size, config.micro_batches, config.packing
  if size % parts:
    raise ValueError(f'micro_batches={parts} does not divide batch_size={size}')
  if size // parts % packing:
    raise ValueError(
      f'packing={packing} does not divide the {size // parts} examples of a '
      'batch (or of a micro-batch)'
    )


def _check_loss(config: Config) -> None:
  facts = loss_facts(config)
  if config.label_smoothing and not facts.has_targets:
    having = [name for name, other in LOSSES.items() if other.has_targets]
    raise ValueError(
      f'label_smoothing={config.label_smoothing} is not defined for '
      f'loss={config.loss!r}: its discriminator has no targets; must be 0, or '
      f'the loss one of {", ".join(having)}'
    )
  inputs = config.batch_size // config.packing
  if inputs < facts.min_batch:
    raise ValueError(
      f'batch_size={config.batch_size} with packing={config.packing}: '
      f'loss={config.loss!r} needs a batch of at least {facts.min_batch} '
      f'inputs, and gets {inputs}'
    )
  targets = config.loss_options.least_squares
  if not targets.real_target > targets.fake_target:
    raise ValueError(
      f'loss_options.least_squares.real_target={targets.real_target} must be '
      f'above fake_target={targets.fake_target}'
    )


def _check_top_k(config: Config) -> None:
  top_k = config.top_k
  if top_k.gamma < 1 and not (top_k.every and top_k.fraction < 1):
    raise ValueError(
      f'top_k.gamma={top_k.gamma} with top_k.every={top_k.every} and '
      f'top_k.fraction={top_k.fraction}: gamma below 1 lets k fall every so '
      'many steps towards a fraction; it needs an every above 0 and a fraction '
      'below 1'
    )
  output = loss_facts(config).output
  if uses_top_k(config) and output not in ('logits', ''):
    raise ValueError(
      f'top_k.fraction={top_k.fraction}: top-k ranks generated examples by '
      f'their logits, and loss={config.loss!r} is on {output}; must be 1'
    )


def _check_penalties(config: Config) -> None:
  wanting = _wanting(config, 'features')
  if wanting and loss_facts(config).output == 'features':
    raise ValueError(
      f'the penalty {", ".join(wanting)} wants features beside logits, and with '
      f'loss={config.loss!r} the discriminator returns features alone'
    )
  name = config.discriminator.name
  wanting = _wanting(config, 'reconstructions')
  if wanting and not MODELS.get(name, OWN_MODEL).has_decoders:
    having = [n for n, facts in MODELS.items() if facts.has_decoders]
    raise ValueError(
      f'the penalty {", ".join(wanting)} with discriminator.name={name!r}: this '
      f'model has no decoders; must be one of {", ".join(having)}'
    )
  name, stride = (
    config.generator.name,
    config.penalties.path_length.batch_stride,
  )
  styled = name == 'own' or MODELS[name].has_styles
  if 'path_length' in used_penalties(config) and stride > 1 and not styled:
    having = [n for n, facts in MODELS.items() if facts.has_styles]
    raise ValueError(
      f'penalties.path_length.batch_stride={stride} with generator.name={name!r}: '
      f'must be 1; more is for generators with styles: {", ".join(having)}'
    )


def _class_losses(config: Config) -> list[str]:
  """Returns the penalties in use that are class losses."""
  return [n for n in used_penalties(config) if PENALTIES[n].class_heads]


def _check_unconditional(config: Config) -> None:
  if config.conditional:
    return
  of_classes = [f'penalties.{n}.weight' for n in _class_losses(config)]
  for name in ('fake_labels', 'class_conditioning'):
    if getattr(config, name):
      of_classes.append(f'{name}={getattr(config, name)!r}')
  if of_classes:
    raise ValueError(
      f'{", ".join(of_classes)} with conditional=False: the networks take no '
      'classes; must be conditional=True'
    )


def _check_conditional(config: Config) -> None:
  if not config.conditional:
    return
  if config.packing > 1:
    raise ValueError(
      f'packing={config.packing} with conditional=True: a pack of examples has '
      'no single class; must be 1'
    )
  for player in ('generator', 'discriminator'):
    name = getattr(config, player).name
    if name == 'own':
      raise ValueError(
        f"{player}.name='own' with conditional=True: networks of your own "
        'receive the labels of their data in any case; must be False'
      )
    if not MODELS[name].has_classes:
      having = [n for n, facts in MODELS.items() if facts.has_classes]
      raise ValueError(
        f'{player}.name={name!r} with conditional=True: this model has no '
        f'classes; must be one of {", ".join(having)}'
      )
  if loss_facts(config).output == 'features':
    raise ValueError(
      f'loss={config.loss!r} with conditional=True: the discriminator returns '
      'features, and classes need a logit; must be a loss on logits'
    )
  if not class_heads(config):
    raise ValueError(
      "class_conditioning='none' with conditional=True and no class loss: "
      'nothing would teach the generator its class; must be '
      "'projection', or a class loss have a weight, such as "
      'penalties.acgan.weight=1 and penalties.acgan_generator.weight=1'
    )


def _check_class_losses(config: Config) -> None:
  used = _class_losses(config)
  for name in used:
    is_generators = PENALTIES[name].player == 'generator'
    base = name.removesuffix('_generator')
    other = base if is_generators else f'{base}_generator'
    has_projection = 'projection' in class_heads(config)
    if other not in used and (is_generators or not has_projection):
      lack = (
        "nothing would train the discriminator's class head"
        if is_generators
        else 'nothing would teach the generator its class'
      )
      raise ValueError(
        f'penalties.{name}.weight without penalties.{other}.weight: {lack}; '
        f'set penalties.{other}.weight, too'
      )
  both = {'class_logits', 'real_fake_class_logits'}
  if both <= set(class_heads(config)):
    raise ValueError(
      f'the penalties {", ".join(used)}: adcgan has logits of real and '
      'generated classes, the others of classes; must be one of the two kinds'
    )


def _check_augment(config: Config) -> None:
  options = config.augment.options
  if options is None:
    return
  where = f'augment.{config.augment.name}'
  if not options.policy:
    raise ValueError(
      f'{where}.policy=(): must have some of '
      f'{", ".join(type(options)().policy)}; to augment nothing, set '
      "augment.name='none'"
    )
  rises = varies(config, f'{where}.strength')
  if not (options.target or options.strength or rises):
    raise ValueError(
      f'{where}.strength=0.0 with {where}.target=0.0 never augments anything: '
      'one must be above 0'
    )


def _check_networks(config: Config) -> None:
  for player in ('generator', 'discriminator'):
    name = getattr(config, player).name
    if (
      config.compute_dtype != 'float32'
      and not MODELS.get(name, OWN_MODEL).has_dtype
    ):
      raise ValueError(
        f'compute_dtype={config.compute_dtype!r}: the {player} model {name!r} '
        "has no field 'dtype' and computes in float32"
      )
  where = f'discriminator.{config.discriminator.name}'
  options = config.discriminator.options
  outputs = getattr(options, 'outputs', 1)
  if outputs > 1 and loss_facts(config).output not in ('features', ''):
    having = [n for n, facts in LOSSES.items() if facts.output == 'features']
    raise ValueError(
      f'{where}.outputs={outputs}: loss={config.loss!r} takes one logit per '
      'example; must be 1. More are features, for a loss that compares '
      f'features: {", ".join(having)}'
    )
  group = getattr(options, 'minibatch_std', 0)
  if group == 1:
    raise ValueError(f'{where}.minibatch_std=1: must be -1, 0 or above 1')
  parts = config.micro_batches
  if group == -1 and parts > 1:
    raise ValueError(
      f'micro_batches={parts} cuts the batch into parts, and '
      f'{where}.minibatch_std=-1 is over the whole batch; must be 1, or a group '
      'size'
    )
  inputs = config.batch_size // parts // config.packing
  # Penalties apply the discriminator to real or generated examples alone.
  alone = any(
    PENALTIES[name].player == 'discriminator' and PENALTIES[name].per_example
    for name in used_penalties(config)
  )
  inputs *= 2 if config.joint_batch and not alone else 1
  if group > 1 and inputs % group:
    raise ValueError(
      f'{where}.minibatch_std={group} does not divide the {inputs} inputs of '
      'the discriminator'
    )


def _check_micro_batches(config: Config) -> None:
  if config.micro_batches == 1:
    return
  coupled = [n for n in used_penalties(config) if PENALTIES[n].coupled]
  if loss_facts(config).coupled:
    coupled.append('the loss')
  elif uses_top_k(config):
    coupled.append('top-k training')
  if config.consensus_weight:
    coupled.append('consensus regularization')
  if coupled:
    raise ValueError(
      f'micro_batches={config.micro_batches} cuts the batch of a device into '
      f'parts, and {", ".join(coupled)} mixes the examples of the whole batch; '
      'must be 1'
    )


def _check_update_rule(config: Config) -> None:
  if config.update_rule == 'alternating':
    return
  if config.d_steps != 1 or config.same_latents:
    raise ValueError(
      f'd_steps={config.d_steps}, same_latents={config.same_latents}: the '
      f'{config.update_rule} rule moves both players at once, from one batch '
      'and one set of latents; must be 1 and False. Give the discriminator a '
      'larger learning rate in place of more steps.'
    )


def _check_ensemble(config: Config) -> None:
  ensemble = config.ensemble
  if ensemble.sweep and ensemble.points:
    raise ValueError(
      f'ensemble.sweep={ensemble.sweep!r} and {len(ensemble.points)} '
      'ensemble.points: a sweep is a product of axes, and points are a list; '
      'must be one or the other'
    )
  is_ensemble = ensemble.seeds > 1 or ensemble.sweep or ensemble.points
  if is_ensemble and config.nonfinite != 'halt':
    raise ValueError(
      f'nonfinite={config.nonfinite!r}: a member of an ensemble that diverges '
      "is frozen, and the others go on; must be 'halt'"
    )


def _check_writers(config: Config) -> None:
  for name in config.writers:
    path, _, function = str(name).rpartition(':')
    if name in WRITERS or (path.endswith('.py') and function.isidentifier()):
      continue
    raise ValueError(
      f'writers={config.writers!r}: '
      + unknown_name_message(str(name), (*WRITERS, 'FILE.py:CLASS'), 'tracker')
    )
  if len(set(config.writers)) < len(config.writers):
    raise ValueError(f'writers={config.writers!r}: must differ')


def _check_eval(config: Config) -> None:
  check_eval_section(config.eval)
  for name in metric_names(config.eval.metrics):
    facts = METRICS[name]
    if facts.needs_labels and not config.conditional:
      raise ValueError(
        f'eval.metrics: {name!r} needs classes, which samples of this run do '
        'not have; must have conditional=True'
      )
    if facts.sources and config.data.name not in (*facts.sources, 'own'):
      raise ValueError(
        f'eval.metrics: {name!r} is for data whose distribution is known: '
        f'data.name must be one of {", ".join(facts.sources)}, not '
        f'{config.data.name!r}'
      )


def check_eval_section(options: Eval) -> None:
  """Refuses options of evaluation that do not fit together, for any samples.

  Args:
    options: The section, its leaves checked.

  Raises:
    ValueError: Naming the options and what is allowed.
  """
  if options.num_real == 1:
    raise ValueError('eval.num_real=1: must be at least 2, or 0 for all')
  names = metric_names(options.metrics)
  # As evaluation.make_evaluator chooses them.
  has_inception = any(METRICS[name].inception for name in names)
  features = options.features or ('inception' if has_inception else 'pixels')
  for name in names:
    _check_class_head(name, features)
    inception = METRICS[name].inception
    if inception and options.features not in ('', 'inception'):
      general = {'fid': 'fd', 'kid': 'kd', 'is': 'classifier_score'}.get(name)
      hint = f'; {general!r} is the same of any features' if general else ''
      raise ValueError(
        f'eval.metrics: {name!r} is defined on the FID Inception network, and '
        f'eval.features={options.features!r}{hint}'
      )


def _check_class_head(name: str, features: str) -> None:
  """Refuses a metric of a class head with features that have none."""
  if METRICS[name].needs_class_head and features not in CLASS_HEAD_FEATURES:
    raise ValueError(
      f'eval.metrics: {name!r} needs features with a class head, and '
      f'eval.features={features!r}: must be one of '
      f'{", ".join(CLASS_HEAD_FEATURES)}'
    )


def metric_names(text: str) -> tuple[str, ...]:
  """Returns the names of metrics in 'fid,kid,prdc'.

  Args:
    text: Names separated by commas.

  Raises:
    ValueError: For a name that is not in METRICS.
  """
  names = filter(None, (part.strip() for part in text.split(',')))
  return tuple(
    canonical_name('entry of eval.metrics', name, METRICS, METRIC_ALIASES)
    for name in names
  )
