"""The config of an experiment: every option, its default and its range.

A config is a tree of frozen dataclasses. Options that depend on each other are
checked in `rules`; `resolve` builds a config from a mapping and checks all.
"""

import dataclasses

from gan_jax.config.augment import Augment, InstanceNoise
from gan_jax.config.data import Data
from gan_jax.config.evaluation import Eval
from gan_jax.config.fields import option
from gan_jax.config.latents import Latents
from gan_jax.config.losses import (
  LOSS_ALIASES,
  LOSS_POINTERS,
  LOSSES,
  LossOptions,
  TopK,
)
from gan_jax.config.networks import Discriminator, Generator
from gan_jax.config.optimizers import UPDATE_RULES, Lookahead, Optimizer
from gan_jax.config.penalties import Penalties

PARALLEL = ('pmap', 'shard_map')
BACKENDS = ('', 'vmap', 'map')
WRITERS = ('wandb',)
FAKE_LABELS = ('', 'batch', 'uniform', 'data')
CLASS_CONDITIONINGS = ('', 'projection', 'none')


@dataclasses.dataclass(frozen=True)
class Ensemble:
  """Many runs as one program: all seeds at each point of a sweep or a list.

  Attributes:
    seeds: Number of seeds, from `seed` on.
    sweep: Options and their values, such as
      'penalties.r1.weight=logspace(-3,2,16)'; several separated by ';'.
    points: A list of points instead of a sweep. Each is a mapping of options,
      such as {'ema_decay': 0.9, 'penalties.r1.weight': 1}, or that as a line
      of JSON.
    backend: How the runs become one program: 'vmap' computes each operation
      for all of them at once, 'map' one run after the other. '' takes 'map'
      on CPU, else 'vmap'.
  """

  seeds: int = option(1, at_least=1)
  sweep: str = option('')
  points: tuple = option(())
  backend: str = option('', choices=BACKENDS)


@dataclasses.dataclass(frozen=True)
class Config:
  """One experiment.

  Attributes:
    seed: Seed of everything random: initial parameters, latents, order of the
      data.
    num_steps: Training steps (one is `d_steps` updates of the discriminator
      and one of the generator).
    batch_size: Examples per discriminator update, over all devices.
    d_steps: Discriminator updates per generator update.
    micro_batches: Parts that a device's batch is computed in, to save memory.
    same_latents: Whether the generator's update takes the latents of the
      discriminator's last one, as in Dive into Deep Learning (D2L).
    joint_batch: Whether the discriminator takes real and generated examples as
      one batch, instead of one after the other.
    latent_dim: Length of the latents.
    latents: Section of the distribution of the latents.
    conditional: Whether the networks take the classes of the data. Networks of
      your own take the labels of the data in any case.
    fake_labels: Classes of generated examples: 'batch' takes those of the real
      batch, 'uniform' draws each equally often, 'data' as often as among the
      training examples. '' takes 'batch' for losses that compare real with
      generated examples, else 'uniform'.
    class_conditioning: How the discriminator takes the class, beside a class
      loss in `penalties`: 'projection' adds a projection of it to the logit;
      'none' does not. '' takes 'projection' unless there is a class loss.
    loss: Adversarial loss, a name in losses.LOSSES; 'own' for one that is
      passed to experiment.build.
    loss_options: Options of the losses that have any, one section for each.
    label_smoothing: Lowers the discriminator's target of real examples by this
      much (one-sided), in [0, 1).
    top_k: Section of top-k training of the generator.
    packing: Examples that the discriminator judges at a time (PacGAN).
    loss_reduction: 'mean' over the batch, or 'sum' (as in D2L).
    d_loss_scale: Factor on the discriminator's adversarial loss (D2L: 0.5).
    g_loss_scale: Factor on the generator's adversarial loss.
    penalties: Section of each penalty, see penalties.Penalties.
    augment: Section of the augmentation of what the discriminator sees.
    instance_noise: Section of the noise on what the discriminator sees.
    generator: Section of the generator.
    discriminator: Section of the discriminator.
    g_optimizer: Section of the generator's optimizer.
    d_optimizer: Section of the discriminator's optimizer.
    update_rule: What a step does to the two players, one of
      optimizers.UPDATE_RULES.
    lookahead: Section of lookahead.
    consensus_weight: Weight of consensus regularization: half the squared norm
      of the game's gradient, which both players minimize.
    ema_decay: Decay per step of the generator's exponential moving average, in
      [0, 1].
    ema_half_life: Half-life of the average in examples, instead of
      `ema_decay`. 0 takes `ema_decay`.
    schedules: Values over the run of options that take any number, such as
      'penalties.r1.weight=geometric(1, 0.1, steps=10000)'; several separated by
      ';'.
    diagnostics: Whether to log the norms of gradients and the cosines of
      successive updates.
    data: Section of the examples.
    parallel: How a step runs on several devices, 'pmap' or 'shard_map'.
    num_devices: Devices of this process to use. 0 takes all.
    steps_per_call: Training steps in one call of the compiled program. 0 finds
      a number. It changes no bit of the result.
    resident_mb: Megabytes of examples that may live on the device; a larger
      dataset is streamed.
    compute_dtype: Type of the networks' arithmetic, 'float32' or 'bfloat16'.
      Parameters, optimizers, losses, penalties and statistics are float32.
    ensemble: Section of many runs as one program.
    nonfinite: Reaction to a NaN or an infinity: 'halt' ends the run; 'skip'
      drops the update and counts it; 'rollback' goes back to the last good
      checkpoint, and on from there with other batches and latents.
    deterministic: Whether to choose operations that give the same bits each
      time, slower, on GPU. A CPU always does.
    stall_seconds: With several processes, seconds that one waits for a
      training step before it gives up; 30 times as long while one compiles,
      writes or scores.
    log_every: Steps between lines of metrics.
    sample_every: Steps between pictures of samples. 0 draws the last only.
    eval_every: Steps between scores. 0 computes the last only. The checkpoint
      with the best score is kept.
    checkpoint_every: Steps between checkpoints. 0 keeps the last only, and
      those that are scored.
    keep_checkpoints: Number of checkpoints to keep, the newest.
    num_samples: Samples in a picture.
    report: Whether to write report.html, the page of the run.
    writers: Trackers that receive metrics, scores and pictures besides the
      files of the run: 'wandb', or a class of your own, 'FILE.py:CLASS'.
    eval: Section of how samples are scored.
  """

  seed: int = option(0, at_least=0)
  num_steps: int = option(10_000, at_least=1)
  batch_size: int = option(64, at_least=1)
  d_steps: int = option(1, at_least=1)
  micro_batches: int = option(1, at_least=1)
  same_latents: bool = option(False)
  joint_batch: bool = option(False)
  latent_dim: int = option(100, at_least=1)
  latents: Latents = Latents()
  conditional: bool = option(False)
  fake_labels: str = option('', choices=FAKE_LABELS)
  class_conditioning: str = option('', choices=CLASS_CONDITIONINGS)
  loss: str = option(
    'non_saturating',
    names=(*LOSSES, 'own'),
    aliases=LOSS_ALIASES,
    pointers=LOSS_POINTERS,
  )
  loss_options: LossOptions = LossOptions()
  label_smoothing: float = option(0.0, at_least=0, below=1)
  top_k: TopK = TopK()
  packing: int = option(1, at_least=1)
  loss_reduction: str = option('mean', choices=('mean', 'sum'))
  d_loss_scale: float = option(1.0)
  g_loss_scale: float = option(1.0)
  penalties: Penalties = Penalties()
  augment: Augment = Augment()
  instance_noise: InstanceNoise = InstanceNoise()
  generator: Generator = Generator()
  discriminator: Discriminator = Discriminator()
  g_optimizer: Optimizer = Optimizer()
  d_optimizer: Optimizer = Optimizer()
  update_rule: str = option('alternating', names=UPDATE_RULES)
  lookahead: Lookahead = Lookahead()
  consensus_weight: float = option(0.0, at_least=0)
  ema_decay: float = option(0.999, at_least=0, at_most=1)
  ema_half_life: float = option(0.0, at_least=0)
  schedules: str = option('')
  diagnostics: bool = option(False)
  data: Data = Data()
  parallel: str = option('pmap', names=PARALLEL)
  num_devices: int = option(0, at_least=0)
  steps_per_call: int = option(0, at_least=0)
  resident_mb: int = option(1024, at_least=0)
  compute_dtype: str = option('float32', choices=('float32', 'bfloat16'))
  ensemble: Ensemble = Ensemble()
  nonfinite: str = option('halt', choices=('halt', 'skip', 'rollback'))
  deterministic: bool = option(False)
  stall_seconds: int = option(120, at_least=1)
  log_every: int = option(100, at_least=1)
  sample_every: int = option(1000, at_least=0)
  eval_every: int = option(0, at_least=0)
  checkpoint_every: int = option(1000, at_least=0)
  keep_checkpoints: int = option(2, at_least=1)
  num_samples: int = option(64, at_least=1)
  report: bool = option(True)
  writers: tuple[str, ...] = option(())
  eval: Eval = Eval()
