"""Training steps: pure functions (state, batch, key) -> (state, metrics).

Each is written for one device. With `axis_name` it runs under pmap, shard_map
or an emulating vmap and takes one mean over that axis of everything that the
devices must agree on; without, it is the whole of training on one device.
"""

from typing import Any

import jax
import jax.numpy as jnp

from gan_jax import diagnostics as diagnostics_lib
from gan_jax.pixels import to_float
from gan_jax.training import ema, update_rules
from gan_jax.training import gan as gan_lib
from gan_jax.training.gradients import PLAYERS
from gan_jax.training.state import GANState
from gan_jax.training.update_rules import Step

Array = jax.Array
PyTree = Any
_SLOW_WEIGHTS, _LAST_UPDATES = 'lookahead', 'last_moves'  # in state.aux_state


def _params(state: GANState) -> dict[str, PyTree]:
  return {player: getattr(state, player).params for player in PLAYERS}


def _with_params(state: GANState, params) -> GANState:
  return state.replace(
    **{p: getattr(state, p).replace(params=params[p]) for p in PLAYERS}
  )


def init_aux_state(
  state: GANState,
  *,
  rule: str = 'alternating',
  lookahead_every: int = 0,
  diagnostics: bool = False,
) -> GANState:
  """Adds to a new state what some train steps keep in `state.aux_state`.

  Args:
    state: at step 0.
    rule: the train step's update rule.
    lookahead_every: the train step's.
    diagnostics: the train step's.

  Returns:
    The state, sharing no buffers with itself.
  """
  params = _params(state)
  zeros = lambda: jax.tree.map(jnp.zeros_like, params)
  more = {}
  if rule == 'past_extragradient':
    more[update_rules.PAST_GRADIENT] = zeros()
  if lookahead_every:
    more[_SLOW_WEIGHTS] = jax.tree.map(jnp.copy, params)
  if diagnostics:
    more[_LAST_UPDATES] = zeros()
  return state.replace(aux_state={**state.aux_state, **more})


def _lookahead(state: GANState, every: int) -> GANState:
  """At each n-th step: both players back towards where they were."""
  slow, alpha = state.aux_state[_SLOW_WEIGHTS], state.hparams['lookahead_alpha']

  point = jax.tree.map(
    lambda a, b: a + alpha.astype(a.dtype) * (b - a), slow, _params(state)
  )
  due = (state.step + 1) % every == 0
  pick = lambda a, b: jax.tree.map(lambda x, y: jnp.where(due, x, y), a, b)
  state = _with_params(state, pick(point, _params(state)))
  return state.replace(
    aux_state={**state.aux_state, _SLOW_WEIGHTS: pick(point, slow)}
  )


def _update_cosines(before: GANState, after: GANState):
  """How far the players moved, and whether in the direction of last time."""
  moves = jax.tree.map(jnp.subtract, _params(after), _params(before))
  last = before.aux_state[_LAST_UPDATES]
  metrics = {
    f'{p[0]}_update_cosine': diagnostics_lib.cosine_similarity(
      moves[p], last[p]
    )
    for p in PLAYERS
  }
  return after.replace(
    aux_state={**after.aux_state, _LAST_UPDATES: moves}
  ), metrics


def make_train_step(
  gan: gan_lib.GAN,
  *,
  rule: str = 'alternating',
  d_steps: int = 1,
  same_latents: bool = False,
  lookahead_every: int = 0,
  diagnostics: bool = False,
  axis_name: str | None = None,
  micro_batches: int = 1,
) -> Step:
  """Makes one iteration of a rule, and of the average of G.

  The key is the run's constant base key: the step number is folded in here,
  and nowhere else.

  Args:
    gan: the game. `state.hparams['ema_decay']` is the average's decay, and
      'ema_rampup', where it is there, its warm-up (ema.ramped_decay).
    rule: of update_rules.UPDATE_RULES. 'past_extragradient' needs add_memory.
    d_steps: discriminator steps per generator step, each on its own batch
      and latents.
    same_latents: whether G's step takes the latents of D's last step, as in
      Dive into Deep Learning, rather than its own.
    lookahead_every: at each n-th step both players go back to slow weights
      + `state.hparams['lookahead_alpha']` times the way from there (Chavdarova
      et al., https://arxiv.org/abs/2006.14567, 2021, algorithm 1); 0 for
      never. Needs add_memory.
    diagnostics: whether metrics hold the norms of both gradients and the
      cosine between successive updates. Needs add_memory.
    axis_name: the mapped axis of devices; None for one device.
    micro_batches: as in gradients.make_gradient_fn.

  Returns:
    The step; its batch has leaves `[d_steps, B, ...]`, uint8 images or floats
    (`to_float` is applied). The G step reads the last of the d_steps batches.
    Metrics are means over d_steps.

  Raises:
    ValueError: for an unknown rule, for d_steps or micro_batches below 1, for
      combinations that a rule does not have; when traced, for a batch whose
      first axis is not d_steps, or a state without the memory.
  """
  if rule not in update_rules.UPDATE_RULES:
    raise ValueError(
      f'rule={rule!r}: choose one of {sorted(update_rules.UPDATE_RULES)}'
    )
  if d_steps < 1 or lookahead_every < 0:
    raise ValueError(
      f'd_steps={d_steps}, lookahead_every={lookahead_every}: must be at least '
      '1 and 0'
    )
  play_round = update_rules.UPDATE_RULES[rule](
    gan,
    d_steps=d_steps,
    same_latents=same_latents,
    axis_name=axis_name,
    micro_batches=micro_batches,
    norms=diagnostics,
  )
  memory = {
    update_rules.PAST_GRADIENT: rule == 'past_extragradient',
    _SLOW_WEIGHTS: bool(lookahead_every),
    _LAST_UPDATES: diagnostics,
  }

  def train_step(state, batch, key):
    _check_call(state, batch, d_steps, memory)
    batch = {**batch, 'x': to_float(batch['x'])}
    before = state
    state, metrics = play_round(
      state, batch, jax.random.fold_in(key, state.step)
    )
    if lookahead_every:
      state = _lookahead(state, lookahead_every)
    if diagnostics:
      state, more = _update_cosines(before, state)
      metrics = {**metrics, **more}
    generator = (state.generator.params, state.generator.batch_stats)
    decay = state.hparams['ema_decay']
    if 'ema_rampup' in state.hparams:
      decay = ema.ramped_decay(state.step, decay, state.hparams['ema_rampup'])
    average = ema.ema_update(state.ema, generator, decay)
    return state.replace(step=state.step + 1, ema=average), metrics

  train_step.axis_name = axis_name
  return train_step


def _check_call(state, batch, d_steps, memory):
  found = batch['x'].shape[0]
  if found != d_steps:
    raise ValueError(
      f'the batch holds {found} discriminator batches on its first axis '
      f'(shape {batch["x"].shape}); d_steps={d_steps}'
    )
  wanted = ['ema_decay'] + ['lookahead_alpha'] * memory[_SLOW_WEIGHTS]
  absent = [name for name in wanted if name not in state.hparams]
  if absent:
    raise ValueError(
      f'state.hparams has no {absent}; it has {sorted(state.hparams)}'
    )
  missing = [
    n for n, used in memory.items() if used and n not in state.aux_state
  ]
  if missing:
    raise ValueError(
      f'state.aux_state has no {missing}: start from train_step.init_aux_state(state, ...)'
    )
