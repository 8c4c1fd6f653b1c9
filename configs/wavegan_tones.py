"""A conditional WaveGAN on synthetic tones of ten pitches.

  python train.py --config=configs/wavegan_tones.py

Needs no files. Clips of 4,096 samples at 8 kHz; narrow networks, non-saturating
loss with R1 at every 4th step. Samples are saved as spectrograms, a row for each
pitch, and as wavs.

Time: 8 minutes for 2,000 of the 4,000 steps on busy cores. Score then, seed 0:
class accuracy 0.968 +- 0.006 (real data 0.966 +- 0.006), but class diversity
0.160 +- 0.002 (0.991 +- 0.010): each class has nearly one sound, and a warning
says so.

Reference:
  Donahue et al., Adversarial Audio Synthesis,
  https://arxiv.org/abs/1802.04208, 2019.
"""

from configs import common


def get_config(variant: str = ''):
  """Returns the config.

  Args:
    variant: '', or 'test' for a smoke test of two steps.
  """
  config = common.base(variant)
  config.data.name = 'tones'
  config.data.tones.update(size=2000, length=4096, sample_rate=8000)
  common.wavegan(config, width=16)
  config.penalties.mode_seeking.weight = 0.1  # else one sound a class
  config.num_steps = 2000
  config.batch_size = 32
  config.log_every = 100
  config.sample_every = config.checkpoint_every = 500
  config.num_samples = 40
  config.eval.update(metrics='class_accuracy,class_diversity', num_samples=1000)
  if variant == 'test':
    config.data.tones.update(size=64, length=256)
    return common.shrink(config)
  return config
