"""Class losses: how well class logits or embeddings tell an example's class.

They are added to the adversarial losses of both players. Labels are `[B]` int
in 0 .. C - 1; others give NaN. Every function returns one value per example,
`[B]`.

  >>> import jax.numpy as jnp
  >>> class_cross_entropy(jnp.zeros((2, 10)), jnp.array([3, 5]))
  Array([2.3025851, 2.3025851], dtype=float32)
"""

import chex
import jax
import jax.numpy as jnp

from gan_jax import collectives

Array = jax.Array


def class_cross_entropy(class_logits: Array, label: Array) -> Array:
  """Computes the cross-entropy of class logits and labels (AC-GAN).

  -log softmax(class_logits)[label]

  The discriminator minimizes it for real examples, the generator for generated
  ones. The paper's discriminator minimizes it for generated examples, too,
  which harms training.

  Args:
    class_logits: logits of the classes, `[B, C]`, float.
    label: classes, `[B]`, int.

  Returns:
    `[B]`, at least 0; NaN for labels outside 0 .. C - 1.

  Raises:
    AssertionError: if shapes or types differ from these.

  References:
    Odena et al., Conditional Image Synthesis With Auxiliary Classifier GANs,
    https://arxiv.org/abs/1610.09585, 2017, equation 3.
  """
  _check(label, class_logits=class_logits)
  classes = class_logits.shape[1]
  chosen = jax.nn.one_hot(label, classes, dtype=class_logits.dtype)
  value = -(chosen * jax.nn.log_softmax(class_logits)).sum(axis=1)
  inside = (label >= 0) & (label < classes)
  return jnp.where(inside, value, jnp.nan)


def twin_classifier_discriminator(
  real_class_logits: Array,
  fake_twin_class_logits: Array,
  real_label: Array,
  fake_label: Array,
) -> Array:
  """Computes the class loss of TAC-GAN's discriminator.

  CE(c(x), y) + CE(c'(G(z)), y'), where the twin classifier c' learns from
  generated examples alone.

  Args:
    real_class_logits: class logits c of real examples, `[B, C]`, float.
    fake_twin_class_logits: twin class logits c' of generated ones, `[B, C]`.
    real_label: classes of the real examples, `[B]`, int.
    fake_label: classes of the generated examples, `[B]`, int.

  Returns:
    `[B]`, at least 0.

  Raises:
    AssertionError: if shapes or types differ from these.

  References:
    Gong et al., Twin Auxiliary Classifiers GAN,
    https://arxiv.org/abs/1907.02690, 2019, equation 6.
  """
  real = class_cross_entropy(real_class_logits, real_label)
  return real + class_cross_entropy(fake_twin_class_logits, fake_label)


def twin_classifier_generator(
  fake_class_logits: Array, fake_twin_class_logits: Array, fake_label: Array
) -> Array:
  """Computes the class loss of TAC-GAN's generator.

  CE(c(G(z)), y') - CE(c'(G(z)), y')

  Args:
    fake_class_logits: class logits c of generated examples, `[B, C]`, float.
    fake_twin_class_logits: twin class logits c' of them, `[B, C]`.
    fake_label: their classes, `[B]`, int.

  Returns:
    `[B]`, of either sign.

  Raises:
    AssertionError: if shapes or types differ from these.

  References:
    Gong et al., https://arxiv.org/abs/1907.02690, 2019, equation 6.
  """
  own = class_cross_entropy(fake_class_logits, fake_label)
  return own - class_cross_entropy(fake_twin_class_logits, fake_label)


def real_fake_class_discriminator(
  real_class_logits: Array,
  fake_class_logits: Array,
  real_label: Array,
  fake_label: Array,
) -> Array:
  """Computes the class loss of ADC-GAN's discriminator.

  CE(c(x), 2 y) + CE(c(G(z)), 2 y' + 1): each class is two, one of its real and
  one of its generated examples.

  Args:
    real_class_logits: class logits c of real examples, `[B, 2 C]`, float.
    fake_class_logits: class logits c of generated examples, `[B, 2 C]`.
    real_label: classes of the real examples, `[B]`, int.
    fake_label: classes of the generated examples, `[B]`, int.

  Returns:
    `[B]`, at least 0.

  Raises:
    AssertionError: if shapes or types differ from these.

  References:
    Hou et al., Conditional GANs with Auxiliary Discriminative Classifier,
    https://arxiv.org/abs/2107.10060, 2022, equation 9.
  """
  real = class_cross_entropy(real_class_logits, 2 * real_label)
  return real + class_cross_entropy(fake_class_logits, 2 * fake_label + 1)


def real_fake_class_generator(
  fake_class_logits: Array, fake_label: Array
) -> Array:
  """Computes the class loss of ADC-GAN's generator.

  CE(c(G(z)), 2 y') - CE(c(G(z)), 2 y' + 1)

  Args:
    fake_class_logits: class logits c of generated examples, `[B, 2 C]`, float.
    fake_label: their classes, `[B]`, int.

  Returns:
    `[B]`, of either sign.

  Raises:
    AssertionError: if shapes or types differ from these.

  References:
    Hou et al., https://arxiv.org/abs/2107.10060, 2022, equation 10.
  """
  as_real = class_cross_entropy(fake_class_logits, 2 * fake_label)
  return as_real - class_cross_entropy(fake_class_logits, 2 * fake_label + 1)


def data_to_data_cross_entropy(
  embedding: Array,
  proxy: Array,
  label: Array,
  *,
  margin: float = 0.98,
  temperature: float = 0.5,
  axis_name: str | None = None,
) -> Array:
  """Computes the data-to-data cross-entropy, D2D-CE (ReACGAN).

  a_i = min(h_i . p(y_i) - m, 0) / t
  r_ij = max(h_i . h_j - (1 - m), 0) / t
  loss_i = -log(exp(a_i) / (exp(a_i) + sum over y_j != y_i of exp(r_ij)))

  An embedding is drawn to the proxy of its class, up to the margin m, and
  pushed away from the embeddings of other classes. The authors' code divides
  every exp(r_ij) by the largest of its row, the formula does not: its values
  are lower.

  Args:
    embedding: unit vectors h of the examples, `[B, E]`, float.
    proxy: unit vectors p of their classes, `[B, E]`.
    label: classes y, `[B]`, int.
    margin: m, in [0, 1]; the paper takes 0.98 for CIFAR-10, 1 for ImageNet.
    temperature: t, above 0.
    axis_name: name of the mapped device axis over which the sum runs, or None.

  Returns:
    `[B]`, at least 0; 0 if the batch has a single class, and log(1 + n) if all
    embeddings are at orthogonal proxies and n examples are of other classes.

  Raises:
    AssertionError: if shapes or types differ from these.

  References:
    Kang et al., Rebooting ACGAN: Auxiliary Classifier GANs with Stable
    Training, https://arxiv.org/abs/2111.01118, 2021, equation 7.
  """
  _check(label, embedding=embedding, proxy=proxy)
  others = collectives.all_gather(embedding, axis_name)
  other_labels = collectives.all_gather(label, axis_name)
  attraction = jnp.minimum((embedding * proxy).sum(axis=1) - margin, 0)
  attraction = attraction / temperature
  cosines = embedding @ others.T
  repulsion = jnp.maximum(cosines - (1 - margin), 0) / temperature
  apart = label[:, None] != other_labels[None]
  repulsion = jnp.where(apart, repulsion, -jnp.inf)
  every = jnp.concatenate([attraction[:, None], repulsion], axis=1)
  return jax.nn.logsumexp(every, axis=1) - attraction


def contrastive_2c(
  embedding: Array,
  proxy: Array,
  label: Array,
  *,
  temperature: float = 1.0,
  axis_name: str | None = None,
) -> Array:
  """Computes the conditional contrastive loss, 2C (ContraGAN).

  -log((exp(h_i . p(y_i) / t) + sum over y_j = y_i of exp(h_i . h_j / t))
       / (exp(h_i . p(y_i) / t) + sum over all j of exp(h_i . h_j / t))),
  both sums without j = i

  Args:
    embedding: unit vectors h of the examples, `[B, E]`, float.
    proxy: unit vectors p of their classes, `[B, E]`.
    label: classes y, `[B]`, int.
    temperature: t, above 0.
    axis_name: name of the mapped device axis over which the sums run, or None.

  Returns:
    `[B]`, at least 0.

  Raises:
    AssertionError: if shapes or types differ from these.

  References:
    Kang and Park, ContraGAN: Contrastive Learning for Conditional Image
    Generation, https://arxiv.org/abs/2006.12681, 2020, equation 8.
  """
  _check(label, embedding=embedding, proxy=proxy)
  others = collectives.all_gather(embedding, axis_name)
  other_labels = collectives.all_gather(label, axis_name)
  own = collectives.global_example_indices(len(label), axis_name)
  to_proxy = (embedding * proxy).sum(axis=1, keepdims=True) / temperature
  to_others = embedding @ others.T / temperature
  is_other = own[:, None] != jnp.arange(len(other_labels))[None]
  is_same = is_other & (label[:, None] == other_labels[None])

  def log_sum(chosen):
    kept = jnp.where(chosen, to_others, -jnp.inf)
    return jax.nn.logsumexp(jnp.concatenate([to_proxy, kept], 1), axis=1)

  return log_sum(is_other) - log_sum(is_same)


def _check(label: Array, **outputs: Array) -> None:
  """Checks that labels are `[B]` int and outputs are all `[B, n]` float."""
  chex.assert_rank(label, 1)
  chex.assert_type(label, int)
  chex.assert_rank(list(outputs.values()), 2)
  chex.assert_type(list(outputs.values()), float)
  chex.assert_equal_shape(list(outputs.values()))
  chex.assert_equal_shape_prefix([label, *outputs.values()], 1)
