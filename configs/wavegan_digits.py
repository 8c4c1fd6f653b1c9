"""A conditional WaveGAN on spoken digits.

  python train.py --config=configs/wavegan_digits.py \\
    --config.data.audio.path=PATH

PATH is a directory or a zip of wav files with a directory for each class, such as
the Free Spoken Digit Dataset (docs/sound.md says how to get it). Clips of 8,192
samples at 8 kHz, of which the first second of longer recordings is used.
Non-saturating loss with R1 at every 4th step, phase shuffle of one sample, batch
norm in the generator (the authors' has none).

Time: 20,000 steps were not run. Score after 4,583 steps (about 50 minutes on two
CPU cores, mostly busy with other work) of the Free Spoken Digit Dataset, seed 0,
1,000 samples, by the classifier of spoken digits: class accuracy 0.812 +- 0.012
(real clips 1.0; lowest class 2, 0.435), class diversity 1.023 +- 0.011 (0.999 +-
0.015), Frechet distance 56 +- 2 (11.8 +- 5.3, of 300 clips), classifier score
7.84 +- 0.10 (8.68 +- 0.20). After 2,152 steps class accuracy was 0.575 +- 0.016.

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
  config.data.name = 'audio'
  config.data.audio.update(length=8192, sample_rate=8000, test_fraction=0.1)
  common.wavegan(config, width=32)
  config.num_steps = 20_000
  config.batch_size = 32
  config.log_every = 200
  config.sample_every = config.checkpoint_every = 1000
  config.num_samples = 40
  config.eval.update(
    metrics='class_accuracy,fd', features='spoken_digits', num_samples=300
  )
  if variant == 'test':
    config.data.audio.length = 256
    config.eval.update(metrics='nn', features='')
    return common.shrink(config)
  return config
