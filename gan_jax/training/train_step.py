"""Training steps: pure functions (state, batch, key) -> (state, metrics).

A step is written for one device. With `axis_name` it runs under pmap, shard_map
or an emulating vmap and averages over that axis, once per gradient evaluation,
everything on which the devices must agree. Without `axis_name` it is all of
single-device training.
"""

from typing import Any, Mapping

import jax
import jax.numpy as jnp

from gan_jax import diagnostics as diagnostics_lib
from gan_jax import precision, prng
from gan_jax.pixels import to_float
from gan_jax.training import ema, eval_fns, update_rules
from gan_jax.training import gan as gan_lib
from gan_jax.training.gradients import PLAYERS
from gan_jax.training.schedules import Schedule, apply_schedules
from gan_jax.training.state import GANState
from gan_jax.training.update_rules import Step

Array = jax.Array
PyTree = Any
_SLOW_WEIGHTS, _LAST_UPDATES = 'lookahead', 'last_moves'  # in state.aux_state
_NARROW_EMA = 'ema'  # likewise, if there are narrow leaves


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
  """Adds the auxiliary arrays of some train steps to a new state.

  Args:
    state: state at step 0.
    rule: update rule of the train step.
    lookahead_every: lookahead interval of the train step; 0 for none.
    diagnostics: whether the train step computes diagnostics.

  Returns:
    The state with the arrays in `state.aux_state`; no two leaves share a
    buffer.

  Raises:
    ValueError: if lookahead_every is above 0, and `state.hparams` lacks
      'lookahead_alpha'.
  """
  if lookahead_every and 'lookahead_alpha' not in state.hparams:
    raise ValueError(
      f"lookahead_every={lookahead_every} needs hparams['lookahead_alpha'], "
      f'usually 0.5; state.hparams has {sorted(state.hparams)}'
    )
  params = _params(state)
  zeros = lambda: jax.tree.map(jnp.zeros_like, params)
  more = {}
  if rule == 'past_extragradient':
    more[update_rules.PAST_GRADIENT] = zeros()
  if lookahead_every:
    more[_SLOW_WEIGHTS] = jax.tree.map(jnp.copy, precision.widen(params))
  if diagnostics:
    more[_LAST_UPDATES] = zeros()
  return state.replace(aux_state={**state.aux_state, **more})


def _lookahead(state: GANState, every: int) -> GANState:
  """Interpolates both players towards their slow weights every n-th step."""
  slow, alpha = state.aux_state[_SLOW_WEIGHTS], state.hparams['lookahead_alpha']

  point = jax.tree.map(
    lambda a, b: a + alpha.astype(a.dtype) * (b - a), slow, _params(state)
  )
  due = (state.step + 1) % every == 0
  pick = lambda a, b: jax.tree.map(lambda x, y: jnp.where(due, x, y), a, b)
  params = _params(state)
  fast = pick(precision.cast_like(point, params), params)
  state = _with_params(state, fast)
  return state.replace(
    aux_state={**state.aux_state, _SLOW_WEIGHTS: pick(point, slow)}
  )


def _update_cosines(before: GANState, after: GANState):
  """Adds cosines between this update and the previous one, and stores it."""
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


def _update_ema(state: GANState, generator, decay) -> GANState:
  average, narrow = ema.ema_update_precise(
    state.ema, state.aux_state.get(_NARROW_EMA, []), generator, decay
  )
  if narrow:
    aux_state = {**state.aux_state, _NARROW_EMA: narrow}
    state = state.replace(aux_state=aux_state)
  return state.replace(ema=average)


def make_train_step(
  gan: gan_lib.GAN,
  *,
  rule: str = 'alternating',
  d_steps: int = 1,
  same_latents: bool = False,
  lookahead_every: int = 0,
  diagnostics: bool = False,
  schedules: Mapping[str, Schedule] | None = None,
  axis_name: str | None = None,
  micro_batches: int = 1,
) -> Step:
  """Builds a training step: one iteration of an update rule, then the EMA.

  The key is the constant base key of the run: the step number is folded in here
  and nowhere else.

  Args:
    gan: the GAN. `state.hparams['ema_decay']` is the decay of the generator's
      EMA.
    rule: a key of update_rules.UPDATE_RULES. 'past_extragradient' needs
      init_aux_state.
    d_steps: discriminator steps per generator step, each on its own batch and
      latents.
    same_latents: whether G's step reuses the latents of D's last step, as in
      Dive into Deep Learning, rather than sampling its own.
    lookahead_every: interval n at which both players return to slow weights +
      `state.hparams['lookahead_alpha']` * (weights - slow weights) (Chavdarova
      et al., https://arxiv.org/abs/2006.14567, 2021, algorithm 1); 0 for never.
      Needs init_aux_state.
    diagnostics: whether the metrics include the norms of both gradients and the
      cosine between successive updates. Needs init_aux_state.
    schedules: schedule of each hyper-parameter that changes with the step, see
      schedules.make_schedule. Its value is in the metrics, by its name.
    axis_name: name of the mapped axis of devices; None for a single device.
    micro_batches: number of parts that the batch of a device is split into, as
      in gradients.make_gradient_fn.

  Returns:
    The step. Its batch has leaves `[d_steps, B, ...]`, uint8 images or floats
    (`to_float` is applied). The G step reads the last of the d_steps batches.
    Metrics are means over d_steps.

  Raises:
    ValueError: if the rule is unknown, d_steps or micro_batches is below 1,
      lookahead_every is negative, or the rule does not support the combination;
      when traced, if the first axis of the batch is not d_steps, or the state
      lacks a hyper-parameter or auxiliary array.
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
  schedules = schedules or {}
  memory = {
    update_rules.PAST_GRADIENT: rule == 'past_extragradient',
    _SLOW_WEIGHTS: bool(lookahead_every),
    _LAST_UPDATES: diagnostics,
  }

  def train_step(state, batch, key):
    _check_call(state, batch, d_steps, memory, schedules)
    batch = {**batch, 'x': to_float(batch['x'])}
    constant = state.hparams
    hparams = apply_schedules(schedules, constant, state.step)
    state = state.replace(hparams=hparams)
    before = state
    state, metrics = play_round(
      state, batch, jax.random.fold_in(prng.typed_keys(key), state.step)
    )
    if lookahead_every:
      state = _lookahead(state, lookahead_every)
    if diagnostics:
      state, more = _update_cosines(before, state)
      metrics = {**metrics, **more}
    generator = eval_fns.player_weights(state.generator)
    state = _update_ema(state, generator, hparams['ema_decay'])
    metrics = {**metrics, **{name: hparams[name] for name in schedules}}
    return state.replace(step=state.step + 1, hparams=constant), metrics

  train_step.axis_name = axis_name
  return train_step


def _check_call(state, batch, d_steps, memory, schedules):
  found = batch['x'].shape[0]
  if found != d_steps:
    raise ValueError(
      f'the batch has {found} discriminator batches on its first axis (shape '
      f'{batch["x"].shape}), but d_steps={d_steps}'
    )
  wanted = ['ema_decay'] + ['lookahead_alpha'] * memory[_SLOW_WEIGHTS]
  wanted += [read for schedule in schedules.values() for read in schedule.reads]
  absent = [name for name in wanted if name not in state.hparams]
  if absent:
    raise ValueError(
      f'state.hparams lacks {absent}; it has {sorted(state.hparams)}'
    )
  narrow = bool(ema.narrow_averages(state.ema))
  memory = memory | {_NARROW_EMA: narrow}
  missing = [
    n for n, used in memory.items() if used and n not in state.aux_state
  ]
  if missing:
    raise ValueError(
      f'state.aux_state lacks {missing}: initialize it with '
      'train_step.init_aux_state(state, ...)'
    )
