"""DINOv2 features for Fréchet distances, in JAX, from a safetensors file.

  curl -LO https://huggingface.co/facebook/dinov2-small/resolve/main/model.safetensors
  DINOV2_WEIGHTS=model.safetensors python evaluate.py --workdir=runs/cifar10 \\
    --metrics=fd,prdc --features=examples/dinov2_features.py:dinov2

Any file of Hugging Face's dinov2-small, -base or -large works; -giant has
another feed-forward layer. Torch is not needed. Images are resized to 224 x 224
by JAX's antialiased bicubic filter, gray ones repeated in three channels: scores
of programs that resize in another way differ in the last digits.

References:
  Oquab et al., DINOv2: Learning Robust Visual Features without Supervision,
  https://arxiv.org/abs/2304.07193, 2023.
  Stein et al., Exposing flaws of generative model evaluation metrics and their
  unfair treatment of diffusion models, https://arxiv.org/abs/2306.04675, 2023.
"""

import hashlib
import os
import pathlib
import re

import jax
import jax.numpy as jnp
import numpy as np
from safetensors import numpy as safetensors_numpy

from gan_jax import pixels
from gan_jax.evaluation import feature_extractors

SIDE = 224
HEAD_DIM = 64  # of all sizes of DINOv2
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet


def dinov2():
  """Returns the extractor, with the weights that DINOV2_WEIGHTS names."""
  path = os.environ.get('DINOV2_WEIGHTS', '')
  if not path:
    raise ValueError('DINOV2_WEIGHTS must name the model.safetensors of DINOv2')
  content = pathlib.Path(path).read_bytes()
  params = convert(safetensors_numpy.load(content))
  return feature_extractors.FeatureExtractor(
    'dinov2',
    lambda params, x: features(params, pixels.to_float(x)),
    params,
    batch_size=8 if jax.default_backend() == 'cpu' else 64,
    sha256=hashlib.sha256(content).hexdigest(),
    channels=(1, 3),
    fits_shapes=True,
  )


def convert(tensors):
  """Returns the parameters, those of the layers stacked along the first axis.

  Args:
    tensors: name -> array, of Hugging Face's Dinov2Model.
  """
  patch = tensors['embeddings.patch_embeddings.projection.weight']
  layers, names = {}, [n for n in tensors if n.startswith('encoder.layer.0.')]
  if any('weights_in' in name for name in names):
    raise ValueError('DINOv2-giant has another feed-forward layer')
  count = len(
    {
      m[1]
      for m in map(re.compile(r'encoder\.layer\.(\d+)\.').match, tensors)
      if m
    }
  )
  for name in names:
    short = name.removeprefix('encoder.layer.0.')
    stacked = [tensors[f'encoder.layer.{i}.{short}'] for i in range(count)]
    layers[short] = np.stack([x.T for x in stacked])  # kernels are [out, in]
  return {
    'patch': patch.transpose(2, 3, 1, 0),
    'patch_bias': tensors['embeddings.patch_embeddings.projection.bias'],
    'cls': tensors['embeddings.cls_token'][0],
    'positions': tensors['embeddings.position_embeddings'][0],
    'scale': tensors['layernorm.weight'],
    'bias': tensors['layernorm.bias'],
    'layers': layers,
  }


def features(params, images):
  """Returns the class token of the last layer, `[B, d]`.

  Args:
    params: what `convert` returned.
    images: images `[B, H, W, C]` in [-1, 1], C 1 or 3.
  """
  images = jnp.broadcast_to(images, (*images.shape[:3], 3))
  x = jax.image.resize(images, (len(images), SIDE, SIDE, 3), 'cubic')
  x = ((jnp.clip(x, -1, 1) + 1) / 2 - jnp.array(MEAN)) / jnp.array(STD)
  return encode(params, x)


def encode(params, x):
  """Returns the class token of images that are normalized for the network."""
  size, dim = params['patch'].shape[0], params['patch'].shape[-1]
  side = x.shape[1] // size
  x = x.reshape(len(x), side, size, side, size, 3).swapaxes(2, 3)
  x = x.reshape(len(x), side**2, -1) @ params['patch'].reshape(-1, dim)
  x = x + params['patch_bias']
  cls = jnp.broadcast_to(params['cls'], (len(x), 1, dim))
  x = jnp.concatenate([cls, x], axis=1) + positions(params['positions'], side)

  def layer(x, p):
    y = normalize(x, p['norm1.weight'], p['norm1.bias'])
    x = x + p['layer_scale1.lambda1'] * attend(y, p)
    y = normalize(x, p['norm2.weight'], p['norm2.bias'])
    y = jax.nn.gelu(dense(y, p, 'mlp.fc1'), approximate=False)
    return x + p['layer_scale2.lambda1'] * dense(y, p, 'mlp.fc2'), None

  x, _ = jax.lax.scan(layer, x, params['layers'])
  return normalize(x[:, 0], params['scale'], params['bias'])


def dense(x, p, name):
  return x @ p[f'{name}.weight'] + p[f'{name}.bias']


def normalize(x, scale, bias):
  x = x - x.mean(axis=-1, keepdims=True)
  return (
    x * jax.lax.rsqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-6) * scale
    + bias
  )


def attend(x, p):
  """Returns multi-head self-attention of `[B, N, d]`."""
  split = lambda x: x.reshape(*x.shape[:2], -1, HEAD_DIM)
  q, k, v = (
    split(dense(x, p, f'attention.attention.{name}'))
    for name in ('query', 'key', 'value')
  )
  logits = jnp.einsum('bqhd,bkhd->bhqk', q, k) / HEAD_DIM**0.5
  y = jnp.einsum('bhqk,bkhd->bqhd', jax.nn.softmax(logits), v)
  return dense(y.reshape(x.shape), p, 'attention.output.dense')


def positions(table, side):
  """Returns the table of positions for a grid of another side.

  The patches' part is resized by PyTorch's bicubic filter, without antialiasing.

  Args:
    table: `[1 + n^2, d]`, the class token first.
    side: number of patches along a side.
  """
  old = round((len(table) - 1) ** 0.5)
  if old == side:
    return table
  weights = jnp.asarray(bicubic(old, side))
  patches = table[1:].reshape(old, old, -1)
  patches = jnp.einsum('ai,bj,ijd->abd', weights, weights, patches)
  return jnp.concatenate([table[:1], patches.reshape(side**2, -1)])


def bicubic(old, new):
  """Returns the matrix `[new, old]` of bicubic interpolation, a = -0.75."""
  weights = np.zeros((new, old), np.float32)
  for i in range(new):
    center = (i + 0.5) * old / new - 0.5
    for j in range(int(np.floor(center)) - 1, int(np.floor(center)) + 3):
      t = abs(center - j)
      near = 1.25 * t**3 - 2.25 * t**2 + 1
      far = -0.75 * (t**3 - 5 * t**2 + 8 * t - 4)
      weights[i, min(max(j, 0), old - 1)] += near if t <= 1 else far
  return weights
