"""What an experiment's configuration holds, its defaults and its checks.

Plain dataclasses and dicts, importable in no time: a config file starts from
`defaults()`, changes what it needs, and `experiment.build` checks the result
with `parse`. Where a part has a `name` (models, optimizers, data), the other
entries beside it are that part's own options.
"""

import dataclasses
import math
from typing import Any, Mapping

from gan_jax.validation import fill_options, unknown_name_message

__all__ = [
  'PENALTIES',
  'PENALTY_COMMON',
  'Config',
  'to_dict',
  'fill_options',
  'defaults',
  'flatten',
  'is_ensemble',
  'from_mapping',
  'unknown_name_message',
]


def _part(**options):
  return dataclasses.field(default_factory=lambda: dict(options))


# training.PENALTIES with each term's own options, which would import JAX.
PENALTIES: dict[str, dict[str, Any]] = {
  'r1': {},
  'r2': {},
  'zero_centred': {},
  'wgan_gp': {'target': 1.0},
  'wgan_gp_one_sided': {'target': 1.0},
  'max_gradient': {},
  'dragan': {'scale': 0.5, 'target': 1.0},
  'lecam': {'decay': 0.99},
  'bcr': {'policy': ('flip', 'integer_translation')},
  'zcr': {'sigma': 0.03},
  'zcr_generator': {'sigma': 0.03},
  'path_length': {'decay': 0.99},
  'mode_seeking': {'epsilon': 1e-5},
  'orthogonal': {},
  'orthogonal_generator': {},
  'feature_matching': {},
}
PENALTY_COMMON = {'weight': 0.0, 'every': 1, 'final': 1.0, 'steps': 0}


@dataclasses.dataclass(frozen=True)
class Config:
  """One experiment.

  Attributes:
    seed: of everything random: initial parameters, latents, order of data.
    num_steps: train steps in all (one is d_steps of D and one of G).
    batch_size: examples per discriminator step, over all devices.
    d_steps: discriminator steps per generator step.
    micro_batches: parts a device's batch is computed in, to save memory.
    same_latents: G's step takes the latents of D's last step (as D2L does).
    joint_batch: D takes real and fake as one batch, not one after the other.
    latent_dim: length of z ~ N(0, I).
    loss: a name in losses.LOSSES.
    loss_options: of the losses in losses.FACTORIES, by name.
    label_smoothing: D's target of real examples is 1 - this (one-sided).
    top_k: {'fraction', 'gamma', 'every'}: G learns from its best fakes alone,
      max(fraction, gamma^(step // every)) of the batch; a fraction of 1 is
      all of them, every 0 is the fraction from the start.
    packing: examples that D judges at a time (PacGAN).
    loss_reduction: 'mean' over the batch, or 'sum' (as D2L does).
    d_loss_scale: factor on D's adversarial loss (D2L: 0.5).
    g_loss_scale: factor on G's adversarial loss.
    penalties: by name (training.PENALTIES), {'weight': 0 leaves it out; 'every': n
      computes it at each n-th step, n times as large; 'final': factor that
      the weight reaches after 'steps' (0: at the end), geometrically; and its
      own options}.
    augment: {'name': 'none' or in augment.AUGMENTS, 'policy', 'strength' from
      0 to 1; 'target' above 0 adapts the strength, with 'speed' and
      'interval' (of ADA)}.
    instance_noise: {'sigma': of the noise on all that D sees, 'steps': until
      it has fallen to 0, linearly; 0 for never}.
    generator: {'name': a file in gan_jax/models, and its options}.
    discriminator: likewise.
    g_optimizer: {'name': in training.OPTIMIZERS, 'learning_rate', its
      options, 'schedule', 'schedule_steps' (0: all updates), 'warmup_steps'}.
    d_optimizer: likewise.
    update_rule: a name in training.UPDATE_RULES.
    lookahead: {'every': steps, 0 for never, 'alpha': in [0, 1]}.
    consensus_weight: of half the squared norm of the game's gradient.
    ema_decay: of the generator's moving average per train step, in [0, 1].
    ema_half_life: in its place, the half-life in examples; 0 for ema_decay.
    ema_rampup: the average's largest half-life as a share of what is done
      (StyleGAN2: 0.05); 0 for no warm-up.
    diagnostics: metrics of gradients' norms and of successive updates, and
      D's accuracy on held-out data.
    data: {'name': in data.SOURCES, and its options}.
    parallel: 'pmap' or 'shard_map'.
    num_devices: devices of this process to use; 0 for all.
    steps_per_call: train steps in one call of the compiled program; 0 finds a
      number by itself. It changes no bit of the result.
    resident_mb: megabytes of examples that live on the device, whose batches
      the program gathers itself; larger sets are streamed.
    compute_dtype: of the networks' arithmetic, 'float32' or 'bfloat16';
      parameters, optimizers, losses, penalties and statistics are float32.
    ensemble: {'seeds': how many, from `seed` on; 'sweep': settings and their
      values, see sweep.parse_sweep; 'way': in ensemble.BACKENDS, '' for the device's}:
      that many runs as one program.
    nonfinite: what a NaN or an infinity does: 'halt' ends the run; 'skip'
      drops the update and counts it; 'rollback' goes back to the last good
      checkpoint, and on from there with other batches and latents.
    deterministic: on GPU, whether operations are chosen that give the same
      bits each time, slower (xla_setup.DETERMINISTIC); a CPU always does.
    stall_seconds: with several processes, how long one may wait for a train
      step until it gives up: another one died or hangs; 30 times as long
      where one compiles, writes or scores.
    log_every: steps between lines of metrics.
    sample_every: steps between pictures; 0 for the last alone.
    checkpoint_every: steps between checkpoints; 0 for the last alone, and those
      that are scored (eval.every).
    keep_checkpoints: how many to keep, the newest.
    num_samples: examples in a picture.
    eval: of the scores: {'metrics': names in evaluation.METRICS, with commas; ''
      for what fits the data; 'every': steps between scores, 0 for the last
      alone, the checkpoint with the best first score being kept; 'num_samples'
      and 'num_real' examples (0 real ones: all); 'features': a name in
      feature_extractors.FEATURE_EXTRACTORS, '' for Inception where a metric needs it, else
      pixels; 'feature_weights': a file, '' for the usual; 'protocol': in
      evaluation.resize.PREPROCESS; 'against': 'train', 'test', or '' as each
      metric has it}.
  """

  seed: int = 0
  num_steps: int = 10_000
  batch_size: int = 64
  d_steps: int = 1
  micro_batches: int = 1
  same_latents: bool = False
  joint_batch: bool = False
  latent_dim: int = 100
  loss: str = 'non_saturating'
  loss_options: Mapping[str, Any] = _part()
  label_smoothing: float = 0.0
  top_k: Mapping[str, Any] = _part(fraction=1.0, gamma=1.0, every=0)
  packing: int = 1
  loss_reduction: str = 'mean'
  d_loss_scale: float = 1.0
  g_loss_scale: float = 1.0
  penalties: Mapping[str, Any] = _part(
    **{name: {**PENALTY_COMMON, **own} for name, own in PENALTIES.items()}
  )
  augment: Mapping[str, Any] = _part(name='none')
  instance_noise: Mapping[str, Any] = _part(sigma=0.0, steps=0)
  generator: Mapping[str, Any] = _part(name='dcgan')
  discriminator: Mapping[str, Any] = _part(name='dcgan')
  g_optimizer: Mapping[str, Any] = _part(name='adam', learning_rate=2e-4)
  d_optimizer: Mapping[str, Any] = _part(name='adam', learning_rate=2e-4)
  update_rule: str = 'alternating'
  lookahead: Mapping[str, Any] = _part(every=0, alpha=0.5)
  consensus_weight: float = 0.0
  ema_decay: float = 0.999
  ema_half_life: float = 0.0
  ema_rampup: float = 0.0
  diagnostics: bool = False
  data: Mapping[str, Any] = _part(name='digits')
  parallel: str = 'pmap'
  num_devices: int = 0
  steps_per_call: int = 0
  resident_mb: int = 1024
  compute_dtype: str = 'float32'
  ensemble: Mapping[str, Any] = _part(seeds=1, sweep='', way='')
  nonfinite: str = 'halt'
  deterministic: bool = False
  stall_seconds: int = 120
  log_every: int = 100
  sample_every: int = 1000
  checkpoint_every: int = 1000
  keep_checkpoints: int = 2
  num_samples: int = 64
  eval: Mapping[str, Any] = _part(
    metrics='',
    every=0,
    num_samples=1000,
    num_real=0,
    features='',
    feature_weights='',
    protocol='legacy_tensorflow',
    against='',
  )


_AT_LEAST = {
  'seed': 0,
  'num_steps': 1,
  'batch_size': 1,
  'd_steps': 1,
  'micro_batches': 1,
  'latent_dim': 1,
  'packing': 1,
  'consensus_weight': 0,
  'ema_half_life': 0,
  'ema_rampup': 0,
  'num_devices': 0,
  'steps_per_call': 0,
  'resident_mb': 0,
  'stall_seconds': 1,
  'log_every': 1,
  'sample_every': 0,
  'checkpoint_every': 0,
  'keep_checkpoints': 1,
  'num_samples': 1,
}
_CHOICES = {
  'loss_reduction': ('mean', 'sum'),
  'compute_dtype': ('float32', 'bfloat16'),
  'nonfinite': ('halt', 'skip', 'rollback'),
}


def defaults() -> dict[str, Any]:
  """All settings at their defaults, as a new plain dict."""
  return to_dict(Config())


def from_mapping(mapping: Mapping[str, Any] | Config) -> Config:
  """Checks a mapping of settings and makes it typed.

  Args:
    mapping: setting -> value; what is missing takes its default.

  Returns:
    The settings.

  Raises:
    ValueError: for an unknown key (with the nearest one), a value of another
      type, or one out of range; names of models and the like are checked
      where they are built.
  """
  if isinstance(mapping, Config):
    return mapping
  default = Config()
  base = {f.name: getattr(default, f.name) for f in dataclasses.fields(default)}
  values = fill_options('the config', mapping, base)
  values['eval'] = fill_options('eval', values['eval'], base['eval'])
  for name, least in {'every': 0, 'num_samples': 2, 'num_real': 0}.items():
    if values['eval'][name] < least:
      raise ValueError(
        f'eval.{name}={values["eval"][name]}: must be at least {least}'
      )
  for name, least in _AT_LEAST.items():
    if not values[name] >= least:
      raise ValueError(f'{name}={values[name]}: must be at least {least}')
  for name, value in values.items():
    if isinstance(value, float) and not math.isfinite(value):
      raise ValueError(f'{name}={value}: must be finite')
  if not 0 <= values['ema_decay'] <= 1:
    raise ValueError(
      f'ema_decay={values["ema_decay"]}: must be between 0 and 1'
    )
  if not 0 <= values['label_smoothing'] < 1:
    raise ValueError(
      f'label_smoothing={values["label_smoothing"]}: must be at least 0, '
      'below 1'
    )
  for name, allowed in _CHOICES.items():
    if values[name] not in allowed:
      raise ValueError(f'{name}={values[name]!r}: choose one of {allowed}')
  ensemble = fill_options('ensemble', values['ensemble'], base['ensemble'])
  if ensemble['seeds'] < 1:
    raise ValueError(f'ensemble.seeds={ensemble["seeds"]}: must be at least 1')
  if ensemble['way'] not in ('', 'vmap', 'map'):
    raise ValueError(
      f"ensemble.way={ensemble['way']!r}: choose one of ('', 'vmap', 'map')"
    )
  values['ensemble'] = ensemble
  return Config(**values)


def flatten(mapping: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
  """Nested mappings as {'a.b': leaf}, tuples made lists as JSON has them."""
  flat = {}
  for name, value in mapping.items():
    if isinstance(value, Mapping):
      flat.update(flatten(value, f'{prefix}{name}.'))
    else:
      is_tuple = isinstance(value, tuple)
      flat[f'{prefix}{name}'] = list(value) if is_tuple else value
  return flat


def to_dict(config: Config) -> dict[str, Any]:
  """Settings as a new plain dict."""
  return dataclasses.asdict(config)


def is_ensemble(config: Config) -> bool:
  """Whether settings are of an ensemble, not of one run."""
  return config.ensemble['seeds'] > 1 or bool(config.ensemble['sweep'])


def format_config(config: Config) -> str:
  """Returns one line `name = value` per field."""
  flat = flatten(to_dict(config))
  return '\n'.join(
    f'{name} = {value!r}' for name, value in sorted(flat.items())
  )
