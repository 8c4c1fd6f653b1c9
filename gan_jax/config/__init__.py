"""The config of an experiment, without JAX.

  >>> from gan_jax import config as config_lib
  >>> config = config_lib.resolve(
  ...   {'loss': 'lsgan', 'generator': {'name': 'mlp'}, 'num_steps': 100}
  ... )
  >>> config.loss, config.generator.options.features
  ('least_squares', (400, 400, 400, 400))

A config file starts from `defaults`, changes what it needs, and `resolve`
checks the result. Each part has a `name`, the options that all choices share,
and one section for each choice: `d_optimizer.learning_rate` and
`d_optimizer.adam.b1`. Tables of facts (`LOSSES`, `PENALTIES`, `METRICS`,
`MODELS`) say of each part what the rules need to know.
"""

from gan_jax.config.evaluation import METRICS
from gan_jax.config.export import (
  flatten,
  format_config,
  is_ensemble,
  to_dict,
)
from gan_jax.config.losses import LOSSES
from gan_jax.config.networks import MODELS
from gan_jax.config.penalties import PENALTIES
from gan_jax.config.resolver import (
  check_name,
  defaults,
  resolve,
  resolve_eval,
  with_each,
  with_own_parts,
  with_values,
)
from gan_jax.config.rules import (
  class_heads,
  fake_label_rule,
  used_penalties,
  uses_top_k,
  varies,
  wants_features,
  wants_reconstructions,
)
from gan_jax.config.schedules import parse_schedules
from gan_jax.config.schema import Config
from gan_jax.config.shortened import warn_if_shortened
from gan_jax.config.sweeps import (
  parse_points,
  swept_names,
  varied_by,
  varied_names,
)

__all__ = [
  'LOSSES',
  'METRICS',
  'MODELS',
  'PENALTIES',
  'Config',
  'check_name',
  'class_heads',
  'defaults',
  'fake_label_rule',
  'flatten',
  'format_config',
  'is_ensemble',
  'parse_points',
  'parse_schedules',
  'resolve',
  'resolve_eval',
  'swept_names',
  'to_dict',
  'used_penalties',
  'uses_top_k',
  'varied_by',
  'varied_names',
  'varies',
  'wants_features',
  'wants_reconstructions',
  'warn_if_shortened',
  'with_each',
  'with_own_parts',
  'with_values',
]
