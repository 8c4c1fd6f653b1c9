"""A DINOv2 with drawn weights, in the names of Hugging Face's files."""

import numpy as np

DIM, LAYERS, PATCHES = 128, 2, 3  # the table of positions is of 3 x 3 patches


def tensors():
  """name -> array, drawn in the order of the names."""
  shapes = {
    'embeddings.cls_token': (1, 1, DIM),
    'embeddings.mask_token': (1, DIM),
    'embeddings.patch_embeddings.projection.weight': (DIM, 3, 14, 14),
    'embeddings.patch_embeddings.projection.bias': (DIM,),
    'embeddings.position_embeddings': (1, PATCHES**2 + 1, DIM),
    'layernorm.weight': (DIM,),
    'layernorm.bias': (DIM,),
  }
  for i in range(LAYERS):
    layer = f'encoder.layer.{i}.'
    for name in ('query', 'key', 'value'):
      shapes[f'{layer}attention.attention.{name}.weight'] = (DIM, DIM)
      shapes[f'{layer}attention.attention.{name}.bias'] = (DIM,)
    shapes |= {
      f'{layer}attention.output.dense.weight': (DIM, DIM),
      f'{layer}attention.output.dense.bias': (DIM,),
      f'{layer}layer_scale1.lambda1': (DIM,),
      f'{layer}layer_scale2.lambda1': (DIM,),
      f'{layer}mlp.fc1.weight': (4 * DIM, DIM),
      f'{layer}mlp.fc1.bias': (4 * DIM,),
      f'{layer}mlp.fc2.weight': (DIM, 4 * DIM),
      f'{layer}mlp.fc2.bias': (DIM,),
    }
    for norm in ('norm1', 'norm2'):
      shapes[f'{layer}{norm}.weight'] = shapes[f'{layer}{norm}.bias'] = (DIM,)
  rng = np.random.default_rng(0)
  drawn = {name: 0.2 * rng.normal(size=shapes[name]) for name in sorted(shapes)}
  scales = ('norm1.weight', 'norm2.weight', 'layernorm.weight', 'lambda1')
  return {
    name: np.float32(x + name.endswith(scales)) for name, x in drawn.items()
  }


def images():
  """Two images as the network takes them, of 5 x 5 patches."""
  rng = np.random.default_rng(1)
  return rng.normal(size=(2, 70, 70, 3)).astype(np.float32)
