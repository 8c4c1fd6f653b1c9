"""Trains the classifier of spoken digits that gan_jax.evaluation ships.

  python scripts/train_spoken_digit_classifier.py --data=PATH --out=DIR

PATH is a directory, or a zip, of wav files in ten sub-directories 0 to 9, whose
names end in the number of the recording: FSDD, sorted by digit. FSDD itself is
https://github.com/Jakobovski/free-spoken-digit-dataset; its files are named
DIGIT_SPEAKER_NUMBER.wav.

Writes DIR/spoken_digit_classifier.npz (float16) and .json, the record of the
training. As in FSDD's own division, the recordings 0 to 4 of each speaker and
digit are not used for training or model selection: the number of epochs is
fixed, and the last weights are kept. They measure the accuracy of the weights
as read back from the file.
"""

import functools
import json
import pathlib
import re
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from gan_jax.data import audio, batches, file_dir  # noqa: E402
from gan_jax.data.array_source import ArraySource  # noqa: E402
from gan_jax.distributed import shutdown  # noqa: E402
from gan_jax.evaluation.networks import (  # noqa: E402
  spoken_digit_classifier as classifier,
)
from gan_jax.io import files, terminal  # noqa: E402

BATCH, EPOCHS, SEED = 64, 30, 0
LEARNING_RATE, WEIGHT_DECAY = 2e-3, 0.05
SHIFT, NOISE, MASKS = 2048, 0.01, (10, 6)  # samples; of a peak; frames, bands
NUM_TEST = 5  # recordings of each speaker and digit


def open_recordings(path):
  """Returns the sources of the training and of the test recordings."""
  found = audio.find_wavs(path)
  labels, names = file_dir.find_classes(found)
  if names != tuple('0123456789'):
    raise ValueError(f'{path} has the classes {names}; must be 0 to 9')
  numbers = [re.search(r'_(\d+)\.wav$', name) for name in found.names]
  if not all(numbers):
    wrong = found.names[numbers.index(None)]
    raise ValueError(f'{path}: {wrong}; names must end in _NUMBER.wav')
  with audio.WavReader(found, audio.ClipFormat(classifier.LENGTH)) as reader:
    x = np.stack([reader.read(name).x for name in found.names])
  is_test = np.array([int(number[1]) < NUM_TEST for number in numbers])
  return [ArraySource(x[i], labels[i]) for i in (~is_test, is_test)]


def init(key):
  """Returns He-normal kernels and zero biases."""
  kernel = jax.nn.initializers.he_normal()
  shapes = classifier.shapes()
  return {
    name: kernel(key, shape) if len(shape) > 1 else jnp.zeros(shape)
    for key, (name, shape) in zip(
      jax.random.split(key, len(shapes)), shapes.items()
    )
  }


def vary_clip(clip, key):
  """Shifts a clip `[8192]` in time, and adds noise of random loudness."""
  keys = jax.random.split(key, 3)
  offset = jax.random.randint(keys[0], (), -SHIFT // 8, SHIFT + 1)
  places = jnp.arange(len(clip)) - offset
  inside = (places >= 0) & (places < len(clip))
  shifted = jnp.where(inside, clip[places % len(clip)], 0)
  loudness = NOISE * jax.random.uniform(keys[1]) ** 3
  return shifted + loudness * jax.random.normal(keys[2], clip.shape)


def mask(spectrogram, key):
  """Silences random times and random bands of a spectrogram `[64, 40]`."""
  for axis, most in enumerate(MASKS):
    size, start = jax.random.uniform(jax.random.fold_in(key, axis), (2,))
    size, count = size * most, spectrogram.shape[axis]
    distance = jnp.arange(count) - start * (count - size)
    hidden = (distance >= 0) & (distance < size)
    spectrogram *= 1 - jnp.expand_dims(hidden, 1 - axis)
  return spectrogram


def make_step(optimizer):
  """Builds (params, opt_state, x, label, key) -> (params, opt_state, loss)."""

  def loss_fn(params, spectrograms, label):
    features = classifier.spectrogram_features(params, spectrograms)
    logits = classifier.feature_logits(params, features)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, label)
    return loss.mean()

  @functools.partial(jax.jit, donate_argnums=(0, 1))
  def step(params, opt_state, x, label, key):
    keys = jax.random.split(key, (2, len(x)))
    varied = jax.vmap(vary_clip)(x[..., 0], keys[0])
    spectrograms = classifier.log_mel(classifier.fit_clips(varied[..., None]))
    spectrograms = jax.vmap(mask)(spectrograms, keys[1])
    loss, gradient = jax.value_and_grad(loss_fn)(params, spectrograms, label)
    updates, opt_state = optimizer.update(gradient, opt_state, params)
    return optax.apply_updates(params, updates), opt_state, loss

  return step


def train(source, epochs):
  """Trains on a source of clips, and returns the parameters."""
  per_epoch = len(source) // BATCH
  schedule = optax.warmup_cosine_decay_schedule(
    0.0, LEARNING_RATE, per_epoch, epochs * per_epoch
  )
  matrices = lambda params: jax.tree.map(lambda x: x.ndim > 1, params)
  optimizer = optax.adamw(schedule, weight_decay=WEIGHT_DECAY, mask=matrices)
  key = jax.random.key(SEED)
  params = init(jax.random.fold_in(key, 0))
  opt_state = optimizer.init(params)
  step, stream = make_step(optimizer), jax.random.fold_in(key, 1)
  losses = []
  with batches.BatchIterator(source, seed=SEED, batch_size=BATCH) as drawn:
    for number in range(epochs * per_epoch):
      batch = next(drawn)
      params, opt_state, loss = step(
        params,
        opt_state,
        batch['x'][0],
        batch['label'][0],
        jax.random.fold_in(stream, number),
      )
      losses.append(loss)
      if (number + 1) % per_epoch == 0:
        mean = np.mean(jax.device_get(losses[-per_epoch:]))
        print(f'epoch {(number + 1) // per_epoch}: loss {mean:.4f}', flush=True)
  return params


def accuracy(params, source):
  """Computes the accuracy on a source, and its 95 % interval (Wilson's)."""

  @jax.jit
  def logits_fn(params, x):
    features = classifier.spoken_digit_features(params, x)
    return classifier.feature_logits(params, features)

  correct = []
  for start in range(0, len(source), 100):
    batch = source[np.arange(start, min(start + 100, len(source)))]
    logits = logits_fn(params, batch['x'])
    correct.append(np.asarray(logits.argmax(axis=-1)) == batch['label'])
  share, n, z = float(np.concatenate(correct).mean()), len(source), 1.96
  middle = share + z**2 / (2 * n)
  reach = z * np.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
  ends = [(middle + sign * reach) / (1 + z**2 / n) for sign in (-1, 1)]
  interval = [round(float(end), 4) for end in ends]
  return {'accuracy': round(share, 6), 'interval_95': interval}


def main():
  parser = terminal.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--data', required=True, help='directory or zip of FSDD')
  parser.add_argument('--out', required=True, help='directory to write to')
  parser.add_argument('--epochs', type=int, default=EPOCHS)
  parser.add_argument(
    '--machine', default='', help='description of the machine, for the record'
  )
  args = parser.parse_args()
  with shutdown.exit_on_user_error(parser.prog, *shutdown.USER_ERRORS):
    train_and_record(args)


def train_and_record(args):
  """Trains the classifier, and writes its weights and their record."""
  out = files.resolve_path(args.out, 'out')
  files.make_directory(out)
  source, test = open_recordings(args.data)
  started = time.perf_counter()
  params = jax.block_until_ready(train(source, args.epochs))
  seconds = time.perf_counter() - started

  weights = out / classifier.WEIGHTS.name
  stored = {name: np.asarray(x, np.float16) for name, x in params.items()}
  np.savez(weights, allow_pickle=False, **stored)
  loaded, sha256 = classifier.load_spoken_digit_classifier(str(weights))
  record = {
    'data': f'FSDD, {len(source):,} recordings: 5 to 49 of each speaker and '
    'digit',
    'test': accuracy(loaded, test)
    | {
      'recordings': len(test),
      'which': '0 to 4 of each speaker and digit; the speakers are the same',
    },
    'train': accuracy(loaded, source),
    'parameters': sum(x.size for x in loaded.values()),
    'epochs': args.epochs,
    'batch_size': BATCH,
    'seed': SEED,
    'optimizer': f'AdamW, {LEARNING_RATE} falling to 0 by a cosine after an '
    f'epoch of warm-up, weight decay {WEIGHT_DECAY}',
    'augmentation': f'shifts by up to {SHIFT} samples, noise of up to {NOISE} '
    f'of the peak, masks of up to {MASKS[0]} frames and {MASKS[1]} bands',
    'selection': 'none: the last weights of a fixed number of epochs',
    'seconds': round(seconds),
    'machine': args.machine,
    'versions': {'jax': jax.__version__, 'numpy': np.__version__},
    'sha256': sha256,
  }
  text = json.dumps(record, indent=2) + '\n'
  weights.with_suffix('.json').write_text(text)
  print(text, end='')


if __name__ == '__main__':
  terminal.start_program('train_spoken_digit_classifier.py')
  main()
