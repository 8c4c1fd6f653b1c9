"""Configs that are refused, and such that are only just accepted."""

POINTS = {
  'data': {'name': 'ring', 'ring': {'size': 64}},
  'generator': {'name': 'mlp', 'mlp': {'features': (8,), 'norm': 'none'}},
  'discriminator': {'name': 'mlp', 'mlp': {'features': (8,)}},
  'latent_dim': 2,
  'batch_size': 8,
  'num_steps': 4,
}
_DCGAN = {'name': 'dcgan', 'dcgan': {'width': 4, 'norm': 'none'}}
_IMAGES = {
  'data': {'name': 'digits', 'digits': {'size': 8}},
  'generator': _DCGAN,
  'discriminator': _DCGAN,
}


def _discriminator(**options):
  return {'name': 'mlp', 'mlp': {'features': (8,), **options}}


def _penalty(name, **options):
  return {'penalties': {name: {'weight': 1.0, **options}}}


# case -> (changes of POINTS, pattern of the message).
REFUSED = {
  'targets': (
    {
      'loss': 'least_squares',
      'loss_options': {'least_squares': {'real_target': -1.0}},
    },
    'real_target=-1.0 must be above fake_target=0.0',
  ),
  'equal targets': (
    {
      'loss': 'least_squares',
      'loss_options': {'least_squares': {'real_target': 0.0}},
    },
    'real_target=0.0 must be above fake_target=0.0',
  ),
  'widths': (
    {'loss': 'mmd_gaussian', 'loss_options': {'mmd_gaussian': {'sigmas': ()}}},
    'loss_options.mmd_gaussian.sigmas=.*at least one entry',
  ),
  'width of a kernel': (
    {
      'loss': 'mmd_gaussian',
      'loss_options': {'mmd_gaussian': {'sigmas': (1.0, 0.0)}},
    },
    'sigmas=.*between 1e-09 and',
  ),
  'smoothing of hinge': (
    {'loss': 'hinge', 'label_smoothing': 0.1},
    "label_smoothing=0.1 is not defined for loss='hinge'",
  ),
  'smoothing': ({'label_smoothing': 1.0}, 'label_smoothing=1.0: must be'),
  'k above the batch': (
    {'top_k': {'fraction': 1.5}},
    'top_k.fraction=1.5: must be above 0, at most 1',
  ),
  'top-k of features': (
    {'loss': 'mmd_gaussian', 'top_k': {'fraction': 0.5}},
    "loss='mmd_gaussian' is on features",
  ),
  'gamma without a period': (
    {'top_k': {'fraction': 0.5, 'gamma': 0.9}},
    'needs an every above 0',
  ),
  'packing': ({'packing': 3}, 'packing=3 does not divide the 8 examples'),
  'packing of a micro-batch': (
    {'packing': 4, 'micro_batches': 4},
    'packing=4 does not divide the 2 examples',
  ),
  'micro-batches': (
    {'micro_batches': 3},
    'micro_batches=3 does not divide batch_size=8',
  ),
  'a batch too small for a loss': (
    {'loss': 'mmd_gaussian', 'packing': 8},
    'needs a batch of at least 2',
  ),
  'weight': (
    _penalty('lecam', weight=-1.0),
    'penalties.lecam.weight=-1.0: must be at least 0',
  ),
  'every': (_penalty('r1', every=0), 'penalties.r1.every=0: must be at least'),
  'weight that is not finite': (
    _penalty('r1', weight=float('inf')),
    'penalties.r1.weight=inf: must be finite',
  ),
  'decay': (
    _penalty('lecam', decay=2.0),
    'penalties.lecam.decay=2.0: must be between 0 and 1',
  ),
  'decoders': (
    _penalty('reconstruction'),
    "reconstruction with .*'mlp'.* no decoders; must be one of fastgan",
  ),
  'features beside features': (
    {'loss': 'mmd_gaussian', **_penalty('feature_matching')},
    'wants features beside logits',
  ),
  'policy': (
    {**_IMAGES, 'augment': {'name': 'ada', 'ada': {'policy': ('flipp',)}}},
    "Did you mean 'flip'",
  ),
  'no policy': (
    {**_IMAGES, 'augment': {'name': 'ada', 'ada': {'policy': ()}}},
    'must have some of flip',
  ),
  'strength': (
    {
      **_IMAGES,
      'augment': {'name': 'diff_augment', 'diff_augment': {'strength': 2.0}},
    },
    'augment.diff_augment.strength=2.0: must be between 0 and 1',
  ),
  'strength for ever 0': (
    {**_IMAGES, 'augment': {'name': 'ada', 'ada': {'target': 0.0}}},
    'never augments anything',
  ),
  'target': (
    {**_IMAGES, 'augment': {'name': 'ada', 'ada': {'target': 1.0}}},
    'augment.ada.target=1.0: must be at least 0, below 1',
  ),
  'noise': (
    {'instance_noise': {'sigma': -0.1}},
    'instance_noise.sigma=-0.1: must be at least 0',
  ),
  'd_steps of a rule': (
    {'update_rule': 'simultaneous', 'd_steps': 2},
    'd_steps=2.*simultaneous rule moves both players at once',
  ),
  'latents of a rule': (
    {'update_rule': 'extragradient', 'same_latents': True},
    'same_latents=True: the extragradient rule',
  ),
  'lookahead': (
    {'lookahead': {'every': 5, 'alpha': 2.0}},
    'lookahead.alpha=2.0: must be between 0 and 1',
  ),
  'micro-batches of a coupled loss': (
    {'loss': 'ragan', 'micro_batches': 2},
    'micro_batches=2 cuts .* the loss mixes',
  ),
  'micro-batches of a coupled penalty': (
    {**_penalty('lecam'), 'micro_batches': 2},
    'micro_batches=2 cuts .* lecam mixes',
  ),
  'micro-batches of top-k': (
    {'top_k': {'fraction': 0.5}, 'micro_batches': 2},
    'micro_batches=2 cuts .* top-k training mixes',
  ),
  'micro-batches of consensus': (
    {'consensus_weight': 1.0, 'micro_batches': 2},
    'micro_batches=2 cuts .* consensus regularization mixes',
  ),
  'micro-batches of a minibatch std': (
    {'discriminator': _discriminator(minibatch_std=-1), 'micro_batches': 2},
    'minibatch_std=-1 is over the whole batch',
  ),
  'minibatch std': (
    {'discriminator': _discriminator(minibatch_std=3)},
    'minibatch_std=3 does not divide the 8 inputs',
  ),
  'minibatch std of packs': (
    {'discriminator': _discriminator(minibatch_std=8), 'packing': 2},
    'minibatch_std=8 does not divide the 4 inputs',
  ),
  'minibatch std of real examples alone': (
    {
      'discriminator': _discriminator(minibatch_std=16),
      'joint_batch': True,
      **_penalty('r1'),
    },
    'minibatch_std=16 does not divide the 8 inputs',
  ),
  'minibatch std of one': (
    {'discriminator': _discriminator(minibatch_std=1)},
    'minibatch_std=1: must be -1, 0 or above 1',
  ),
  'features for a loss on logits': (
    {'discriminator': _discriminator(outputs=4)},
    'outputs=4: .*takes one logit per example',
  ),
  'features for a loss on both': (
    {'discriminator': _discriminator(outputs=4), 'loss': 'feature_matching'},
    'outputs=4: .*takes one logit per example',
  ),
  'size of a layer': (
    {'discriminator': _discriminator(features=(0,))},
    r'features=\(0,\): must be at least 1',
  ),
  'norm': (
    {'discriminator': _discriminator(norm='bacth')},
    "norm='bacth': choose one of .*Did you mean 'batch'",
  ),
  'b1': (
    {'d_optimizer': {'adam': {'b1': 1.0}}},
    'd_optimizer.adam.b1=1.0: must be at least 0, below 1',
  ),
  'schedule': (
    {'schedules': 'ema_decay=linear(0.5, 1.5)'},
    'schedules: ema_decay=1.5: must be between 0 and 1',
  ),
  'half-life': (
    {'ema_half_life': float('nan')},
    'ema_half_life=nan: must be finite',
  ),
  'average': ({'ema_decay': 1.5}, 'ema_decay=1.5: must be between 0 and 1'),
  'modes': (
    {'data': {'name': 'ring', 'ring': {'modes': 0}}},
    'data.ring.modes=0: must be at least 1',
  ),
  'channels': (
    {'data': {'name': 'digits', 'digits': {'channels': 2}}},
    r'data.digits.channels=2: choose one of \(1, 3, 4\)',
  ),
  'an ensemble that skips': (
    {'ensemble': {'seeds': 2}, 'nonfinite': 'skip'},
    "nonfinite='skip': a member of an ensemble",
  ),
  'a metric of classes': (
    {'eval': {'metrics': 'cas'}},
    "'cas' needs classes",
  ),
  'a metric of another distribution': (
    {'eval': {'metrics': 'kl'}},
    "'kl' is for data whose distribution is known.*gaussian",
  ),
  'a metric of other features': (
    {'eval': {'metrics': 'fid', 'features': 'pixels'}},
    "'fid' is defined on the FID Inception network.*'fd'",
  ),
  'one real example': ({'eval': {'num_real': 1}}, 'eval.num_real=1: must be'),
}

# case -> changes of POINTS, at the limit of a rule.
ACCEPTED = {
  'the smallest batch of a loss': {'loss': 'mmd_gaussian', 'packing': 4},
  'smoothing of a loss on features': {
    'loss': 'feature_matching',
    'label_smoothing': 0.1,
  },
  'the best example': {'top_k': {'fraction': 0.1}},
  'top-k that falls': {'top_k': {'fraction': 0.5, 'gamma': 0.9, 'every': 1}},
  'top-k of all, on features': {
    'loss': 'mmd_gaussian',
    'top_k': {'fraction': 0.99},
  },
  'packs in micro-batches': {'packing': 4, 'micro_batches': 2},
  'penalties of each example in micro-batches': {
    **_penalty('r1'),
    'micro_batches': 8,
  },
  'minibatch std over the whole batch': {
    'discriminator': _discriminator(minibatch_std=-1),
  },
  'minibatch std of a micro-batch': {
    'discriminator': _discriminator(minibatch_std=4),
    'micro_batches': 2,
  },
  'minibatch std of both kinds': {
    'discriminator': _discriminator(minibatch_std=16),
    'joint_batch': True,
    **_penalty('lecam'),
  },
  'features for a loss on features': {
    'discriminator': _discriminator(outputs=4),
    'loss': 'mmd_rational_quadratic',
  },
  'a schedule beyond the end': {
    'schedules': 'g_optimizer.learning_rate=linear(0, 1, steps=100)',
  },
  'skipping of one run': {'nonfinite': 'skip'},
  'adaptive strength from 0': {
    **_IMAGES,
    'augment': {
      'name': 'diff_augment',
      'diff_augment': {'strength': 0.0, 'target': 0.5},
    },
  },
  'no augmentation to be consistent with': {
    **_IMAGES,
    **_penalty('bcr', policy=()),
  },
  'a metric of the distribution': {'eval': {'metrics': 'modes,nn'}},
}
