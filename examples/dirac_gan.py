"""Trains the Dirac-GAN with several losses, R1, and update rules.

  python examples/dirac_gan.py --out=dirac.png     (needs matplotlib)

The data are a point at 0, the generator is a point theta, and D(x) = psi x. The
equilibrium is (0, 0). For each method, prints how the distance from it changes
in 500 train steps from (1, 1), and the eigenvalues of the game's Jacobian at
the equilibrium, which determine the behavior in theory: imaginary eigenvalues
mean rotation, negative real parts mean convergence. Plots the trajectories as
in docs/dirac.png.

Reference: Mescheder et al., Which Training Methods for GANs do actually
Converge?, https://arxiv.org/abs/1801.04406, 2018.
"""

import argparse
import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

# Not needed if gan_jax is installed.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from gan_jax import diagnostics, losses, networks, training  # noqa: E402

LEARNING_RATE = 0.1
# Title -> loss, update rule, weight of R1.
METHODS = {
  'minimax, simultaneous': ('minimax', 'simultaneous', 0.0),
  'minimax, alternating': ('minimax', 'alternating', 0.0),
  'non-saturating, alternating': ('non_saturating', 'alternating', 0.0),
  'WGAN, simultaneous': ('wasserstein', 'simultaneous', 0.0),
  'WGAN, alternating': ('wasserstein', 'alternating', 0.0),
  'WGAN, extragradient': ('wasserstein', 'extragradient', 0.0),
  'minimax + R1, simultaneous': ('minimax', 'simultaneous', 1.0),
  'minimax + R1, alternating': ('minimax', 'alternating', 1.0),
}


def make_gan(loss, r1_weight):
  """Builds the Dirac-GAN: two networks of one parameter each, from 1."""
  init = lambda name: lambda key, x, label: ({name: jnp.float32(1)}, {})
  generate = lambda p, s, z, label, **_: (
    jnp.broadcast_to(p['theta'], z.shape),
    s,
  )
  discriminate = lambda p, s, x, label, **_: (p['psi'] * x[:, 0], s)
  return training.GAN(
    generator=networks.Network(init('theta'), generate),
    discriminator=networks.Network(init('psi'), discriminate),
    loss=losses.LOSSES[loss],
    latent_dim=1,
    g_optimizer=optax.sgd(LEARNING_RATE),
    d_optimizer=optax.sgd(LEARNING_RATE),
    d_terms={'r1': training.make_term('r1')} if r1_weight else {},
  )


def trajectory(loss, rule, r1_weight, num_steps=500):
  """Trains from (1, 1); returns (theta, psi), `[num_steps + 1, 2]`."""
  gan = make_gan(loss, r1_weight)
  hparams = {'ema_decay': 0.0, 'r1_weight': r1_weight}
  data = jnp.zeros((1, 1, 1))  # one D step, one example at 0
  state = training.init_state(gan, jax.random.key(0), {'x': data[0]}, hparams)
  step = training.make_train_step(gan, rule=rule)

  def body(state, _):
    state, _ = step(state, {'x': data}, jax.random.key(0))
    g_params, d_params = state.generator.params, state.discriminator.params
    return state, (g_params['theta'], d_params['psi'])

  _, path = jax.jit(lambda s: jax.lax.scan(body, s, length=num_steps))(state)
  return np.concatenate([np.ones((1, 2)), np.stack(path, axis=1)])


def eigenvalues(loss, r1_weight):
  """Computes the eigenvalues of the game's Jacobian at (0, 0)."""
  pair = losses.LOSSES[loss]
  real = jnp.zeros(())  # logit of the data, psi * 0

  def d_loss(theta, psi):
    penalty = r1_weight * psi**2 / 2
    return pair.discriminator(real, theta * psi) + penalty

  def g_loss(theta, psi):
    return pair.generator(real, theta * psi)

  field = diagnostics.vector_field(d_loss, g_loss)
  return diagnostics.eigenvalues(field, jnp.float32(0), jnp.float32(0))


def plot(paths, out):
  """Plots one panel per method."""
  import matplotlib

  matplotlib.use('Agg')
  import matplotlib.pyplot as plt

  figure, axes = plt.subplots(2, 4, figsize=(13, 6.8))
  for axis, (title, path) in zip(axes.flat, paths.items()):
    axis.plot(*path.T, linewidth=0.8)
    axis.scatter(*path[0], color='tab:green', s=25, zorder=3, label='start')
    axis.scatter(*path[-1], color='tab:red', s=25, zorder=3, label='end')
    axis.scatter(0, 0, color='black', marker='x', label='equilibrium')
    axis.set(xlim=(-4, 4), ylim=(-4, 4), aspect='equal', title=title)
    axis.set(xlabel='theta', ylabel='psi')
  axes[0, 0].legend(loc='lower left', fontsize=8)
  figure.tight_layout()
  figure.savefig(out, dpi=70)
  print(f'plot: {out}')


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--out', type=pathlib.Path, help='file of the plot')
  out = parser.parse_args().out
  paths = {title: trajectory(*spec) for title, spec in METHODS.items()}
  print(f'{"":30} {"distance from the equilibrium":>30}  eigenvalues')
  for title, path in paths.items():
    radius = np.linalg.norm(path, axis=1)
    loss, _, weight = METHODS[title]
    pair = ', '.join(f'{x:.2f}' for x in eigenvalues(loss, weight))
    print(f'{title:30} {radius[0]:14.2f} -> {radius[-1]:10.4f}   {pair}')
  if out is not None:
    plot(paths, out)


if __name__ == '__main__':
  main()
