"""Trains the digit classifier that gan_jax.evaluation ships.

  python -m gan_jax.data.prepare mnist            (once)
  python scripts/train_mnist_classifier.py --data_dir=... --out=DIR

Writes DIR/mnist_classifier.npz (float16) and DIR/mnist_classifier.json, the
record of the training. The 10,000 test digits are not used for training or
model selection: the number of epochs is fixed, and the last weights are kept.
They measure the accuracy of the weights as read back from the file.
"""

import functools
import json
import pathlib
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from gan_jax import data  # noqa: E402
from gan_jax.distributed import shutdown  # noqa: E402
from gan_jax.evaluation.networks import mnist_classifier  # noqa: E402
from gan_jax.io import files, terminal  # noqa: E402
from gan_jax.pixels import to_float  # noqa: E402

BATCH, EPOCHS, SEED = 128, 8, 0
LEARNING_RATE, WEIGHT_DECAY, SHIFT = 2e-3, 0.02, 2


def init(key):
  """Returns He-normal kernels and zero biases."""
  kernel = jax.nn.initializers.he_normal()
  shapes = mnist_classifier.shapes()
  return {
    name: kernel(key, shape) if len(shape) > 1 else jnp.zeros(shape)
    for key, (name, shape) in zip(
      jax.random.split(key, len(shapes)), shapes.items()
    )
  }


def shift(x, offsets):
  """Shifts each image `[B, 28, 28, 1]` by its own offset, padded with black."""
  margin = ((SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0))

  def shift_one(image, offset):
    padded = jnp.pad(image, margin, constant_values=-1)
    start = (offset[0] + SHIFT, offset[1] + SHIFT, 0)
    return jax.lax.dynamic_slice(padded, start, image.shape)

  return jax.vmap(shift_one)(x, offsets)


def make_step(optimizer):
  """Builds (params, opt_state, x, label, key) -> (params, opt_state, loss)."""

  def loss_fn(params, x, label):
    logits = mnist_classifier.digit_logits(params, x)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, label)
    return loss.mean()

  @functools.partial(jax.jit, donate_argnums=(0, 1))
  def step(params, opt_state, x, label, key):
    offsets = jax.random.randint(key, (len(x), 2), -SHIFT, SHIFT + 1)
    x = shift(to_float(x), offsets)
    loss, gradient = jax.value_and_grad(loss_fn)(params, x, label)
    updates, opt_state = optimizer.update(gradient, opt_state, params)
    return optax.apply_updates(params, updates), opt_state, loss

  return step


def train(source, epochs):
  """Trains on a source of digits, and returns the parameters."""
  per_epoch = len(source) // BATCH
  schedule = optax.warmup_cosine_decay_schedule(
    0.0, LEARNING_RATE, per_epoch // 2, epochs * per_epoch
  )
  matrices = lambda params: jax.tree.map(lambda x: x.ndim > 1, params)
  optimizer = optax.adamw(schedule, weight_decay=WEIGHT_DECAY, mask=matrices)
  key = jax.random.key(SEED)
  params = init(jax.random.fold_in(key, 0))
  opt_state = optimizer.init(params)
  step, stream = make_step(optimizer), jax.random.fold_in(key, 1)
  losses = []
  with data.BatchIterator(source, seed=SEED, batch_size=BATCH) as batches:
    for number in range(epochs * per_epoch):
      batch = next(batches)
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
  """Computes the accuracy on a source, and its binomial standard error."""
  logits_fn = jax.jit(mnist_classifier.digit_logits)
  correct = []
  for start in range(0, len(source), 500):
    batch = source[np.arange(start, min(start + 500, len(source)))]
    logits = logits_fn(params, to_float(jnp.asarray(batch['x'])))
    correct.append(np.asarray(logits.argmax(axis=-1)) == batch['label'])
  share = float(np.concatenate(correct).mean())
  error = float(np.sqrt(share * (1 - share) / len(source)))
  return {'accuracy': share, 'standard_error': round(error, 6)}


def main():
  parser = terminal.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument(
    '--data_dir', default='', help='directory of TFDS datasets'
  )
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
  spec = {
    'name': 'tfds',
    'dataset': 'mnist',
    'data_dir': args.data_dir,
    'size': 28,
    'channels': 1,
  }
  source = data.make_source(spec, 'train')
  started = time.perf_counter()
  params = jax.block_until_ready(train(source, args.epochs))
  seconds = time.perf_counter() - started

  weights = out / mnist_classifier.WEIGHTS.name
  stored = {name: np.asarray(x, np.float16) for name, x in params.items()}
  np.savez(weights, allow_pickle=False, **stored)
  loaded, sha256 = mnist_classifier.load_digit_classifier(str(weights))
  test = data.make_source(spec, 'test')
  at_32 = data.make_source(spec | {'size': 32}, 'test')
  record = {
    'data': 'MNIST (TFDS mnist), 60,000 training digits',
    'test': accuracy(loaded, test) | {'digits': len(test)},
    'test_at_32': accuracy(loaded, at_32)
    | {'digits': len(at_32), 'resized': 'bicubic to 32 x 32 by data.tfds'},
    'parameters': sum(x.size for x in loaded.values()),
    'epochs': args.epochs,
    'batch_size': BATCH,
    'seed': SEED,
    'optimizer': f'AdamW, {LEARNING_RATE} falling to 0 by a cosine after half '
    f'an epoch of warm-up, weight decay {WEIGHT_DECAY}',
    'augmentation': f'shifts of at most {SHIFT} pixels',
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
  terminal.start_program('train_mnist_classifier.py')
  main()
