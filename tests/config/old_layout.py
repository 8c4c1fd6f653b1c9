"""Translates configs of `gan_jax.config` to the mappings of `settings.parse`."""

import dataclasses

from gan_jax import config as config_lib

# Old name -> new name of a penalty.
PENALTIES = {
  'zero_centred': 'zero_centered',
  'wgan_gp_one_sided': 'wgan_lp',
  'max_gradient': 'max_gp',
}
_PARTS = (
  *('augment', 'data', 'generator', 'discriminator'),
  *('g_optimizer', 'd_optimizer'),
)
_DEFAULTS = config_lib.defaults()
_NEW_TO_OLD = {new: old for old, new in PENALTIES.items()}


def old_penalty(name):
  """Returns a penalty's old name."""
  return _NEW_TO_OLD.get(name, name)


def _old_part(part, section):
  """Puts the chosen part's own options beside the name."""
  if not isinstance(section, dict):
    return section
  sections = [n for n, v in _DEFAULTS[part].items() if isinstance(v, dict)]
  own = {n: v for n, v in section.items() if n in sections}
  shared = {n: v for n, v in section.items() if n not in own}
  chosen = section.get('name')
  return {**shared, **(own.get(chosen, {}) if isinstance(chosen, str) else {})}


def old_mapping(mapping):
  """Returns what `settings.parse` takes for a nested mapping of options."""
  old = {
    name: _old_part(name, value) if name in _PARTS else value
    for name, value in mapping.items()
  }
  old['penalties'] = {
    old_penalty(name): value for name, value in mapping['penalties'].items()
  }
  loss = mapping['loss'] if isinstance(mapping['loss'], str) else ''
  old['loss_options'] = mapping['loss_options'].get(loss, {})
  ensemble = dict(mapping['ensemble'])
  ensemble['way'] = ensemble.pop('backend')
  ensemble['sweep'] = old_sweep(ensemble['sweep'])
  scored = dict(mapping['eval'], every=old.pop('eval_every'))
  scored['against'] = scored.pop('reference_split')
  return {**old, 'ensemble': ensemble, 'eval': scored}


def old_leaf(leaf):
  """Returns a leaf's old dotted name."""
  parts = leaf.split('.')
  if parts[0] == 'penalties':
    parts[1] = old_penalty(parts[1])
  elif parts[0] in (*_PARTS, 'loss_options') and len(parts) == 3:
    del parts[1]
  return '.'.join(parts)


def old_sweep(text):
  """Returns a sweep with the old names of its leaves."""
  if not isinstance(text, str):
    return text
  axes = []
  for part in filter(None, text.split(';')):
    names, equals, values = part.partition('=')
    names = '+'.join(old_leaf(name.strip()) for name in names.split('+'))
    axes.append(f'{names}{equals}{values}')
  return ';'.join(axes)


def filled_in(config):
  """Returns the old settings, filled in, that a config stands for."""
  mapping = old_mapping(dataclasses.asdict(config))
  used = [old_penalty(name) for name in config_lib.used_penalties(config)]
  mapping['penalties'] = {
    name: options if name in used and options['weight'] else {'weight': 0.0}
    for name, options in mapping['penalties'].items()
  }
  return mapping


def hyper(config):
  """Returns the hyper-parameters in the state that a config stands for."""
  values = {}
  for prefix, part in (('g', config.g_optimizer), ('d', config.d_optimizer)):
    values[f'{prefix}_learning_rate'] = part.learning_rate
    if part.weight_clip:
      values[f'{prefix}_weight_clip'] = part.weight_clip
    for name, value in dataclasses.asdict(part.options).items():
      values[f'{prefix}_{name}'] = value
  for name in config_lib.PENALTIES:
    weight = getattr(config.penalties, name).weight
    if weight:
      values[f'{old_penalty(name)}_weight'] = weight
  if config.label_smoothing:
    values['label_smoothing'] = config.label_smoothing
  augment = config.augment.options
  if augment is not None and not augment.target:
    values['augment_strength'] = augment.strength
  if config.instance_noise.sigma:
    values['noise_sigma'] = config.instance_noise.sigma
  if config.lookahead.every:
    values['lookahead_alpha'] = config.lookahead.alpha
  values['ema_decay'] = config.ema_decay
  if config.ema_half_life:
    values['ema_decay'] = 0.5 ** (config.batch_size / config.ema_half_life)
  if config.ema_rampup:
    values['ema_rampup'] = config.ema_rampup
  if config.consensus_weight:
    values['consensus_weight'] = config.consensus_weight
  return values
