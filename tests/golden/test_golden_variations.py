"""One tiny game by every loss, penalty, rule, optimizer and way of running."""

import numpy as np
import pytest

from tests.helpers import api

STEPS = 5
BASE = {
  'num_steps': 20,
  'batch_size': 8,
  'num_devices': 1,
  'latent_dim': 3,
  'generator.name': 'mlp',
  'generator.features': (8, 8),
  'generator.norm': 'batch',
  'discriminator.name': 'mlp',
  'discriminator.features': (8, 8),
  'discriminator.activation': 'tanh',
  'ema_decay': 0.9,
  # Adam would make whole steps of rounding, where a gradient is zero.
  'g_optimizer.name': 'sgd',
  'g_optimizer.learning_rate': 0.02,
  'g_optimizer.momentum': 0.5,
  'd_optimizer.name': 'sgd',
  'd_optimizer.learning_rate': 0.02,
  'd_optimizer.momentum': 0.5,
}
PICTURES = BASE | {
  'generator.name': 'dcgan',
  'generator.width': 4,
  'discriminator.name': 'dcgan',
  'discriminator.width': 4,
  'discriminator.norm': 'spectral',
}
for unknown in ('generator.features', 'discriminator.features'):
  del PICTURES[unknown]
del PICTURES['discriminator.activation']
FACTOR = {'points': 1.2, 'pictures': 6}
# Most of the time is compilation: what is no matter of depth has one layer.
SHALLOW = {'generator.features': (8,), 'discriminator.features': (8,)}
KINDS = ('loss', 'penalt', 'optimizer', 'schedule', 'rule', 'consensus')
NO_NORM = {'generator.norm': 'none'}
# A new penalty does not join them: it would change what is recorded.
EVERY_PENALTY = [
  *('r1', 'r2', 'zero_centred', 'wgan_gp', 'wgan_gp_one_sided'),
  *('max_gradient', 'dragan', 'lecam', 'zcr', 'zcr_generator', 'path_length'),
  *('mode_seeking', 'orthogonal', 'orthogonal_generator', 'feature_matching'),
]


def of_both(**options):
  """The same options for both optimizers."""
  return {
    f'{player}_optimizer.{name}': value
    for player in 'gd'
    for name, value in options.items()
  }


def optimizer(name, **options):
  """Both players by an optimizer; without what rounding would decide."""
  unset = dict.fromkeys(of_both(momentum=0))
  return NO_NORM | unset | of_both(name=name, learning_rate=0.001, **options)


def penalty(name, **options):
  options = {'weight': 0.5} | options
  found = {f'penalties.{name}.{k}': v for k, v in options.items()}
  return found | (NO_NORM if name in api.names('g_penalty') else {})


def every_penalty(**options):
  found = {}
  for name in EVERY_PENALTY:
    found |= penalty(name, **{'weight': 0.05} | options)
  return found


SMOOTH = {'label_smoothing': 0.1}
POINTS = {
  'base': {},
  'fused resident': {'steps_per_call': 3},
  'fused streamed': {'steps_per_call': 3, 'resident_mb': 0},
  'four devices': {'num_devices': 4, **every_penalty()},
  'four devices by shard_map': {'num_devices': 4, 'parallel': 'shard_map'},
  'four devices fused': {'num_devices': 4, 'steps_per_call': 3},
  'micro-batches': {
    'micro_batches': 2,
    **penalty('r1'),
    **penalty('mode_seeking'),
  },
  'two D steps': {'d_steps': 2},
  'packing': {'packing': 2, **penalty('wgan_gp')},
  'joint batch': {'joint_batch': True, 'discriminator.norm': 'batch'},
  'same latents': {'same_latents': True},
  'D with batch norm': {'discriminator.norm': 'batch', 'd_steps': 2},
  'sums and scales': {
    'loss_reduction': 'sum',
    'd_loss_scale': 0.5,
    'g_loss_scale': 0.25,
    **of_both(learning_rate=0.005),
  },
  **{
    f'rule {name}': {'update_rule': name}
    for name in api.names('update_rule')
    if name != 'alternating'
  },
  'lookahead': {'lookahead.every': 2, 'lookahead.alpha': 0.3},
  'consensus': {'consensus_weight': 0.3},
  **{
    f'loss {name}': {'loss': name, **of_both(learning_rate=0.01)}
    | ({'discriminator.outputs': 4} if api.features_of(name) else {})
    for name in api.names('loss')
    if name != 'non_saturating'
  },
  **{f'penalty {name}': penalty(name) for name in EVERY_PENALTY},
  'penalties lazy and fading': every_penalty(every=2)
  | {
    'schedules': '; '.join(
      f'penalties.{name}.weight=geometric(0.05, 0.005, steps=4)'
      for name in EVERY_PENALTY
    )
  },
  'instance noise': {
    'schedules': 'instance_noise.sigma=linear(0.5, 0, steps=8)'
  },
  'uniform latents': {'latents.name': 'uniform', **penalty('mode_seeking')},
  'top k': {'top_k.fraction': 0.5, 'top_k.gamma': 0.8, 'top_k.every': 2},
  'label smoothing': SMOOTH,
  'average by half-life': {
    'schedules': 'ema_half_life=linear(0, 40, images=80)'
  },
  **{f'optimizer {name}': optimizer(name) for name in api.names('optimizer')},
  'weight clip': optimizer('rmsprop', weight_clip=0.3),
  **{
    f'schedule {name}': {
      'schedules': 'g_optimizer.learning_rate+d_optimizer.learning_rate='
      'linear(0.01, 0.02, steps=1) then linear(0.02, 0.02, steps=1) '
      f'then {name}(0.02, 0, steps=4)'
    }
    for name in ('linear', 'cosine')
  },
  'skip': {'nonfinite': 'skip'},
  'bfloat16': {'compute_dtype': 'bfloat16'},
  'diagnostics': {'diagnostics': True},
}
IMAGES = {
  'pictures': {},
  **{f'penalty {n}': penalty(n) for n in api.names('image_penalty')},
  **{
    f'augment {n}': {'augment.name': n, 'augment.strength': 0.8}
    for n in api.names('augment')
  },
  'augment ada to a target': {
    'augment.name': 'ada',
    'augment.target': 0.6,
    'augment.interval': 2,
    'augment.speed': 100,
  },
}
CASES = [('points', n) for n in POINTS] + [('pictures', n) for n in IMAGES]


def source(kind):
  rng = np.random.default_rng(0)
  if kind == 'points':
    points = 1 + rng.normal(size=(40, 2))
    return api.array_source(points.astype(np.float32))
  return api.array_source(rng.integers(0, 256, (40, 8, 8, 1), np.uint8))


@pytest.mark.parametrize(('kind', 'name'), CASES)
def test_numbers_of_five_steps(golden, kind, name):
  overrides = (
    BASE | POINTS[name] if kind == 'points' else PICTURES | IMAGES[name]
  )
  if kind == 'points' and name.startswith(KINDS):
    overrides |= SHALLOW
  overrides = {k: v for k, v in overrides.items() if v is not None}
  built = api.build(overrides, source(kind))
  start = api.initial_state(built, FACTOR[kind], compiled=False)
  fused = 'steps_per_call' in overrides
  if fused:
    assert api.is_resident(built) == ('streamed' not in name)
  run = api.run_fused if fused else api.run_steps
  now, metrics = run(built, start, STEPS)
  rtol = 2e-2 if name == 'bfloat16' else 1e-5
  record = golden('variations')
  record.state(name, api.state_leaves(now), metrics, rtol=rtol)


def test_no_record_is_left_over(golden):
  golden('variations').names([name for _, name in CASES])
