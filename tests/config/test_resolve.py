"""What a config accepts, refuses, and says."""

import dataclasses
import json
import subprocess
import sys
import warnings

import ml_collections
import pytest
from absl import flags
from ml_collections import config_flags

from gan_jax import config as config_lib
from gan_jax.config import networks
from tests.config.combinations import ACCEPTED, POINTS, REFUSED

RING = config_lib.resolve(POINTS)


def test_nothing_heavy_is_imported():
  code = (
    'import sys, gan_jax.config; '
    'assert not {"jax", "numpy", "ml_collections"} & set(sys.modules)'
  )
  subprocess.run([sys.executable, '-c', code], check=True)


def test_the_defaults_are_a_config():
  config = config_lib.resolve(config_lib.defaults())
  assert config == config_lib.Config() == config_lib.resolve({})


@pytest.mark.parametrize('case', REFUSED)
def test_combinations_without_a_meaning_are_refused(case):
  changes, message = REFUSED[case]
  with pytest.raises(ValueError, match=message):
    config_lib.resolve({**POINTS, **changes})


@pytest.mark.parametrize('case', ACCEPTED)
def test_combinations_at_the_limit_are_accepted(case):
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    config_lib.resolve({**POINTS, **ACCEPTED[case]})


def test_models_without_a_dtype_compute_in_float32(monkeypatch):
  bfloat16 = {**POINTS, 'compute_dtype': 'bfloat16'}
  config_lib.resolve(bfloat16)
  facts = networks.ModelFacts(has_dtype=False)
  monkeypatch.setitem(networks.MODELS, 'mlp', facts)
  config_lib.resolve(POINTS)
  with pytest.raises(ValueError, match="'mlp' has no field 'dtype'"):
    config_lib.resolve(bfloat16)


# ------------------------------------------------------- names, types, ranges


@pytest.mark.parametrize(
  ('mapping', 'message'),
  [
    ({'batchsize': 8}, "unknown option 'batchsize'. Did you mean 'batch_size'"),
    (
      {'generator': {'mlp': {'featurs': 8}}},
      "'generator.mlp.featurs'. Did you mean 'generator.mlp.features'",
    ),
    (
      {'generator': {'width': 8}},
      "'generator.width': there is generator.dcgan",
    ),
    (
      {'d_optimizer': {'name': 'sgd', 'b1': 0.5}},
      "'d_optimizer.b1': there is d_optimizer.adam.b1, d_optimizer.adamw.b1",
    ),
    ({'data': {'name': 'grid', 'size': 8}}, 'there is data.grid.size'),
    ({'penalties': {'r1': {'wieght': 1}}}, "'penalties.r1.wieght'. Did you"),
    ({'loss_options': {'hinge': {'margin': 1}}}, "'loss_options.hinge'"),
    ({'eval': {'every': 5}}, "'eval.every': its name is 'eval_every'"),
    ({'ensemble': {'way': 'map'}}, "its name is 'ensemble.backend'"),
    ({3: 4}, "unknown option '3'"),
    ({'generator': 'mlp'}, "generator='mlp'.*the name goes in generator.name"),
    ({'penalties': {'r1': 1.0}}, 'penalties.r1=1.0: must be a mapping'),
    ([], 'the config=.*must be a mapping'),
    ({'batch_size': '8'}, "batch_size='8' is of type str; must be int"),
    ({'batch_size': True}, 'batch_size=True is of type bool; must be int'),
    ({'batch_size': {}}, 'batch_size={} is of type dict; must be int'),
    ({'batch_size': 2**31}, 'must be at most 2147483647'),
    ({'seed': -1}, 'seed=-1: must be at least 0'),
    ({'ema_decay': float('nan')}, 'ema_decay=nan: must be finite'),
    ({'g_loss_scale': float('inf')}, 'g_loss_scale=inf: must be finite'),
    (
      {'discriminator': {'mlp': {'features': ('a',)}}},
      r"discriminator.mlp.features\[0\]='a' is of type str; must be int",
    ),
    ({'loss': 'hing'}, "unknown loss 'hing'. Did you mean 'hinge'"),
    ({'loss': None}, 'loss=None is of type NoneType'),
    (
      {'generator': {'name': 'mpl'}},
      "generator.name 'mpl'. Did you mean 'mlp'",
    ),
    ({'update_rule': 'extra_gradient'}, "Did you mean 'extragradient'"),
    ({'loss_reduction': 'men'}, "choose one of .*Did you mean 'mean'"),
    ({'penalties': {'lecma': {}}}, "unknown penalty 'lecma'.*'lecam'"),
    ({'eval': {'metrics': 'fid,kidd'}}, "entry of eval.metrics 'kidd'.*'kid'"),
  ],
)
def test_refused_with_the_dotted_name(mapping, message):
  with pytest.raises(ValueError, match=message):
    config_lib.resolve(mapping)


def test_lists_become_tuples_and_whole_numbers_floats():
  config = config_lib.resolve(
    {
      'generator': {'mlp': {'features': [8, 8]}},
      'penalties': {'r1': {'weight': 0}},
      'loss_options': {'mmd_gaussian': {'sigmas': [1, 2]}},
      'g_optimizer': {'learning_rate': 1},
    }
  )
  assert config.generator.mlp.features == (8, 8)
  assert config.loss_options.mmd_gaussian.sigmas == (1.0, 2.0)
  weight = config.penalties.r1.weight
  assert (weight, type(weight)) == (0.0, float)
  assert type(config.g_optimizer.learning_rate) is float


def test_any_kind_of_mapping():
  changes = {'generator': {'name': 'mlp'}, 'batch_size': 8}
  expected = config_lib.resolve(changes)
  as_config_dict = ml_collections.ConfigDict(config_lib.defaults())
  as_config_dict.update(changes)
  frozen = ml_collections.FrozenConfigDict(as_config_dict)
  nested = {'generator': expected.generator, 'batch_size': 8}
  for mapping in (as_config_dict, frozen, expected, nested):
    assert config_lib.resolve(mapping) == expected


# ------------------------------------------------------- parts not chosen


TYPED = {
  'a network': (
    {'generator': {'name': 'mlp'}},
    'generator.dcgan.width',
    "generator.dcgan.width: generator.name is 'mlp'; type generator.name=dcgan",
  ),
  'the same option of another': (
    {'generator': {'name': 'mlp'}},
    'generator.dcgan.norm',
    'or generator.mlp.norm instead',
  ),
  'an optimizer': (
    {},
    'd_optimizer.sgd.momentum',
    "d_optimizer.name is 'adam'",
  ),
  'an augmentation': ({}, 'augment.ada.target', "augment.name is 'none'"),
  'data': ({}, 'data.ring.modes', "data.name is 'digits'"),
  'a loss': (
    {'loss': 'hinge'},
    'loss_options.least_squares.generator_target',
    "loss is 'hinge'; type loss=least_squares",
  ),
  'a penalty': (
    {},
    'penalties.wgan_gp.target',
    'penalties.wgan_gp.weight is 0',
  ),
}


@pytest.mark.parametrize('case', TYPED)
def test_options_typed_for_a_part_that_is_not_chosen_are_refused(case):
  mapping, leaf, message = TYPED[case]
  config_lib.resolve(mapping)
  with pytest.raises(ValueError, match=message):
    config_lib.resolve(mapping, typed=['batch_size', leaf])


@pytest.mark.parametrize(
  ('leaf', 'choice'),
  [
    ('generator.mlp.features', {'generator': {'name': 'mlp'}}),
    ('d_optimizer.sgd.momentum', {'d_optimizer': {'name': 'SGD'}}),
    ('d_optimizer.learning_rate', {'d_optimizer': {'name': 'sgd'}}),
    ('augment.ada.target', {'augment': {'name': 'ada'}}),
    ('loss_options.least_squares.real_target', {'loss': 'lsgan'}),
    ('penalties.lecam.decay', {'penalties': {'lecam': {'weight': 1.0}}}),
    ('penalties.r1.weight', {}),
    ('penalties.r1.every', {'ensemble': {'sweep': 'penalties.r1.weight=1,2'}}),
  ],
)
def test_options_typed_for_a_chosen_part_are_kept(leaf, choice):
  plain = {'discriminator': {'dcgan': {'norm': 'none'}}}
  config_lib.resolve({**plain, **choice}, typed=[leaf])


def test_options_of_other_parts_are_kept_in_silence():
  config = config_lib.resolve({'generator': {'mlp': {'features': (8,)}}})
  assert config.generator.name == 'dcgan'
  assert config.generator.mlp.features == (8,)


@pytest.mark.parametrize(
  ('swept', 'message'),
  [
    ('generator.dcgan.width=1,2', 'not a continuous option .it is 64 in the'),
    (
      'd_optimizer.sgd.momentum=0,1',
      "sgd.momentum: d_optimizer.name is 'adam'",
    ),
    ('penalties.wgan_gp.target=1,2', 'penalties.wgan_gp.weight is 0'),
    ('g_optimizer.learning_rat=1,2', "mean 'g_optimizer.learning_rate'"),
    ('d_optimizer.b1=0,0.5', 'there is d_optimizer.adam.b1$'),
    ('batch_size=8,16', 'batch_size is not a continuous option'),
    ('ema_decay', "ensemble.sweep='ema_decay': must be like"),
    ('ema_decay=0,1;ema_decay=1', 'names ema_decay twice'),
  ],
)
def test_what_cannot_be_swept(swept, message):
  with pytest.raises(ValueError, match=message):
    config_lib.resolve({'ensemble': {'sweep': swept}})


def test_other_values_count_as_typed():
  config = config_lib.with_values(RING, {'g_optimizer.learning_rate': 0.1})
  assert config.g_optimizer.learning_rate == 0.1
  assert config == dataclasses.replace(RING, g_optimizer=config.g_optimizer)
  with pytest.raises(ValueError, match="generator.name is 'mlp'"):
    config_lib.with_values(RING, {'generator.dcgan.width': 8})
  for leaf in ('generater.name', 'generator.name.width', 'generator.mlp.x'):
    with pytest.raises(ValueError, match=f"unknown option '{leaf}'"):
      config_lib.with_values(RING, {leaf: 8})


def test_evaluation_by_itself():
  scored = config_lib.resolve_eval({'metrics': 'CAS, kl', 'num_real': 4})
  assert scored.metrics == 'cas,kl'
  assert config_lib.resolve_eval(RING.eval) == RING.eval
  for options, message in (
    ({'metric': 'fid'}, "unknown option 'eval.metric'.*'eval.metrics'"),
    ({'num_samples': 1}, 'eval.num_samples=1: must be at least 2'),
    ({'against': 'test'}, "its name is 'eval.reference_split'"),
    ({'metrics': 'kid', 'features': 'mnist'}, "'kd' is the same of any"),
    ({'num_real': '4'}, "eval.num_real='4' is of type str"),
  ):
    with pytest.raises(ValueError, match=message):
      config_lib.resolve_eval(options)


# ------------------------------------------------------- names of the field


@pytest.mark.parametrize(
  ('spelling', 'loss'),
  [
    ('wgan', 'wasserstein'),
    ('LSGAN', 'least_squares'),
    ('vanilla', 'non_saturating'),
    ('bce', 'non_saturating'),
    ('ns', 'non_saturating'),
    ('Non-Saturating', 'non_saturating'),
    ('minimax', 'minimax'),
    ('RpGAN', 'rpgan'),
    ('RaHinge', 'rahinge'),
    ('f-KL', 'f_kl'),
  ],
)
def test_other_names_of_a_loss(spelling, loss):
  assert config_lib.resolve({'loss': spelling}).loss == loss


@pytest.mark.parametrize(
  ('mapping', 'message'),
  [
    (
      {'loss': 'wgan-gp'},
      "loss='wgan-gp': set loss='wasserstein' and penalties.wgan_gp.weight=10",
    ),
    ({'loss': 'R3GAN'}, 'penalties.r1.weight=1 and penalties.r2.weight=1'),
    ({'loss': 'mmd'}, "loss='mmd_gaussian' or 'mmd_rational_quadratic'"),
    (
      {'penalties': {'gp': {'weight': 10.0}}},
      'penalties.gp: set penalties.wgan_gp.weight=10 for WGAN-GP',
    ),
    ({'penalties': {'gradient_penalty': {}}}, 'penalties.r1.weight for R1'),
    ({'penalties': {'r1_penalty': 1.0}}, 'such as penalties.r1.weight'),
  ],
)
def test_names_of_several_options_say_what_to_type(mapping, message):
  with pytest.raises(ValueError, match=message):
    config_lib.resolve(mapping)


@pytest.mark.parametrize(
  ('spelling', 'name'),
  [
    ('wgan-gp', 'wgan_gp'),
    ('r1_penalty', 'r1'),
    ('zero_centred', 'zero_centered'),
    ('wgan_gp_one_sided', 'wgan_lp'),
  ],
)
def test_other_names_of_a_penalty(spelling, name):
  mapping = config_lib.defaults() | POINTS
  mapping['penalties'] = {spelling: {'weight': 2.0}, name: {'every': 4}}
  penalty = getattr(config_lib.resolve(mapping).penalties, name)
  assert (penalty.weight, penalty.every) == (2.0, 4)


def test_case_and_hyphens_of_parts():
  config = config_lib.resolve(
    {
      'generator': {'name': 'DCGAN'},
      'd_optimizer': {'name': 'AdamW'},
      'g_optimizer': {'name': 'optimistic-adam'},
      'augment': {'name': 'DiffAugment'},
      'data': {'name': 'stacked-mnist'},
      'eval': {'metrics': 'KID, precision, recall'},
    }
  )
  assert config.generator.name == 'dcgan'
  assert config.d_optimizer.name == 'adamw'
  assert config.g_optimizer.name == 'optimistic_adam'
  assert config.augment.name == 'diff_augment'
  assert config.data.name == 'stacked_mnist'
  assert config.eval.metrics == 'kid,prdc'


# ------------------------------------------------------- filled in, written


def test_schedules_are_filled_in():
  text = 'd_optimizer.learning_rate = linear(1e-3, 0);ema_half_life=cosine('
  config = config_lib.resolve(
    {
      **POINTS,
      'schedules': text + '0, 10, images=20) then linear(10,5,steps=2)',
    }
  )
  assert config.schedules == (
    'd_optimizer.learning_rate=linear(0.001, 0, steps=4); '
    f'ema_half_life=cosine(0, 10, steps={20 / config.batch_size:g}) '
    'then linear(10, 5, steps=2)'
  )
  assert config.d_optimizer.learning_rate == 1e-3  # as at the first step
  assert config_lib.resolve(config) == config


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('ema_decay', "schedules='ema_decay': must be like"),
    ('ema_decay=0.5', "schedules='ema_decay=0.5': must be like"),
    ('ema_decay=step(0, 1)', "unknown shape 'step'"),
    ('ema_decay=linear(0, 1, steps=0)', 'steps=0: must be above 0'),
    ('ema_decay=linear(0, 2)', 'ema_decay=2.0: must be between 0 and 1'),
    ('ema_decay=geometric(0, 1)', 'geometric schedule must be above 0'),
    ('ema_decay=linear(0,1);ema_decay=linear(0,1)', 'ema_decay twice'),
    ('batch_size=linear(0, 1)', "unknown option of a schedule 'batch_size'"),
    ('d_optimizer.sgd.momentum=linear(0, 1)', "'d_optimizer.sgd.momentum'"),
    ('penalties.r1.wieght=linear(0, 1)', "mean 'penalties.r1.weight'"),
  ],
)
def test_schedules_that_are_refused(text, message):
  with pytest.raises(ValueError, match=message):
    config_lib.resolve({**POINTS, 'schedules': text})


def test_an_option_with_a_schedule_is_not_typed():
  config = {**POINTS, 'schedules': 'penalties.r1.weight=linear(1, 2)'}
  with pytest.raises(ValueError, match='penalties.r1.weight: it has a sched'):
    config_lib.resolve(config, typed=['penalties.r1.weight'])
  sweep = {'ensemble': {'sweep': 'penalties.r1.weight=1,2'}}
  with pytest.raises(ValueError, match='schedules.penalties.r1.weight.start'):
    config_lib.resolve(config | sweep)


def test_arguments_of_a_schedule_are_swept():
  config = {**POINTS, 'schedules': 'penalties.r1.weight=linear(1, 2)'}
  sweep = {'ensemble': {'sweep': 'schedules.penalties.r1.weight.end=1,3'}}
  resolved = config_lib.resolve(config | sweep)
  point = {'schedules.penalties.r1.weight.end': 3.0}
  assert config_lib.with_values(resolved, point).schedules == (
    'penalties.r1.weight=linear(1, 3, steps=4)'
  )
  sweep = {'ensemble': {'sweep': 'schedules.penalties.r1.weight.ende=1,3'}}
  with pytest.raises(ValueError, match="mean 'schedules.*weight.end'"):
    config_lib.resolve(config | sweep)


def test_options_of_the_chosen_part():
  assert RING.generator.options is RING.generator.mlp
  assert RING.augment.options is None
  assert config_lib.resolve({'data': {'name': 'own'}}).data.options is None


def test_only_what_has_an_effect_is_written():
  written = config_lib.to_dict(
    config_lib.resolve(
      {
        **POINTS,
        'loss': 'lsgan',
        'penalties': {'lecam': {'weight': 1.0}, 'r1': {'every': 4}},
      }
    )
  )
  assert set(written['generator']) == {'name', 'mlp'}
  assert written['generator']['mlp']['features'] == [8]
  assert set(written['penalties']) == {'lecam'}
  assert set(written['loss_options']) == {'least_squares'}
  assert written['augment'] == {'name': 'none'}
  assert json.loads(json.dumps(written)) == written
  assert config_lib.to_dict(RING)['loss_options'] == {}


def test_a_swept_penalty_is_written():
  sweep = {'sweep': 'penalties.r1.weight=0.1,1'}
  config = config_lib.resolve({**POINTS, 'ensemble': sweep})
  assert set(config_lib.to_dict(config)['penalties']) == {'r1'}
  assert config_lib.is_ensemble(config) and not config_lib.is_ensemble(RING)


def test_what_is_written_is_the_same_config():
  assert config_lib.resolve(config_lib.to_dict(RING)) == RING


def test_lines_can_be_typed_back():
  config = config_lib.resolve(
    {
      **POINTS,
      'loss': 'least_squares',
      'loss_options': {'least_squares': {'generator_target': 0.0}},
      'augment': {'name': 'ada', 'ada': {'policy': ('flip', 'scale')}},
      'penalties': {'lecam': {'weight': 1e-8}},
      'diagnostics': True,
      'eval': {'metrics': 'modes, nn'},
      'ensemble': {'sweep': 'ema_decay=0.5,0.9; g_optimizer.adam.b1=0,0.5'},
    }
  )
  lines = config_lib.format_config(config).splitlines()
  assert 'generator.mlp.features = (8,)' in lines
  assert 'loss_options.least_squares.generator_target = 0.0' in lines
  assert not any(line.startswith('generator.dcgan') for line in lines)
  argv = [
    'program',
    *(f'--config.{line.replace(" = ", "=", 1)}' for line in lines),
  ]
  holder = flags.FlagValues()
  config_flags.DEFINE_config_dict(
    'config',
    ml_collections.ConfigDict(config_lib.defaults()),
    flag_values=holder,
    sys_argv=argv,
  )
  holder(argv)
  read = holder.config
  names = config_flags.get_override_values(holder['config'])
  assert len(names) == len(lines)
  again = config_lib.resolve(read, typed=names)
  assert config_lib.format_config(again).splitlines() == lines


# ------------------------------------------------------- warnings, questions


@pytest.mark.parametrize(
  ('penalty', 'player'),
  [('r1', 'discriminator'), ('bcr', 'discriminator')]
  + [('path_length', 'generator')],
)
def test_penalties_of_examples_warn_of_batch_norm(penalty, player):
  mapping = {
    **POINTS,
    player: {'name': 'mlp', 'mlp': {'norm': 'batch'}},
    'penalties': {penalty: {'weight': 1.0}},
  }
  message = f"{penalty} is defined for each .* with {player}.mlp.norm='batch'"
  with pytest.warns(UserWarning, match=message) as caught:
    config_lib.resolve(mapping)
  assert caught[0].filename == __file__


def test_a_part_of_the_batch_is_for_styles():
  path_length = {'weight': 2.0, 'batch_stride': 2}
  mapping = {
    'data': {'name': 'digits'},
    'generator': {'name': 'stylegan2'},
    'penalties': {'path_length': path_length},
  }
  config_lib.resolve(mapping)
  mapping['generator'] = {'name': 'mlp', 'mlp': {'norm': 'none'}}
  with pytest.raises(ValueError, match='batch_stride=2 .*must be 1.*stylegan2'):
    config_lib.resolve(mapping)


def test_a_strength_that_a_schedule_raises():
  ada = {'name': 'ada', 'ada': {'strength': 0.0, 'target': 0.0}}
  mapping = {'data': {'name': 'digits'}, 'augment': ada}
  with pytest.raises(ValueError, match='never augments anything'):
    config_lib.resolve(mapping)
  config_lib.resolve(
    mapping | {'schedules': 'augment.ada.strength=cosine(0, 0.5)'}
  )


@pytest.mark.parametrize('name', ['sndcgan', 'sngan', 'biggan', 'fastgan'])
def test_path_length_warns_of_generators_that_have_batch_norm(name):
  mapping = {
    'data': {'name': 'digits'},
    'generator': {'name': name},
    'penalties': {'path_length': {'weight': 1.0}},
  }
  with pytest.warns(
    UserWarning, match=f'with the batch norm of {name} an exam'
  ):
    config_lib.resolve(mapping)


def test_r1_warns_of_discriminators_that_have_batch_norm():
  mapping = {
    'data': {'name': 'digits'},
    'discriminator': {'name': 'fastgan'},
    'penalties': {'r1': {'weight': 1.0}},
  }
  with pytest.warns(UserWarning, match='with the batch norm of fastgan a log'):
    config_lib.resolve(mapping)


def test_other_penalties_do_not_warn():
  batch_norm = {'name': 'mlp', 'mlp': {'norm': 'batch'}}
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    config_lib.resolve(
      {
        **POINTS,
        'discriminator': batch_norm,
        'generator': batch_norm,
        'penalties': {'lecam': {'weight': 1.0}, 'mode_seeking': {'weight': 1}},
      }
    )


def test_questions_about_a_config():
  assert not config_lib.wants_features(RING)
  assert config_lib.wants_features(
    config_lib.resolve({'loss': 'feature_matching'})
  )
  matched = {'penalties': {'feature_matching': {'weight': 1.0}}}
  assert config_lib.wants_features(config_lib.resolve({**POINTS, **matched}))
  assert not config_lib.wants_reconstructions(RING)
  decoded = {'penalties': {'reconstruction': {'weight': 1.0}}}
  own = {'discriminator': {'name': 'own'}}
  for changes in ({'discriminator': {'name': 'fastgan'}}, own):
    config = config_lib.resolve({**POINTS, **decoded, **changes})
    assert config_lib.wants_reconstructions(config)
    assert config_lib.class_heads(config) == ()
  assert not config_lib.uses_top_k(RING)
  half = config_lib.resolve({**POINTS, 'top_k': {'fraction': 0.5}})
  assert config_lib.uses_top_k(half)
  assert config_lib.used_penalties(RING) == ()


def test_many_points_are_resolved_as_one_by_one():
  config = config_lib.resolve({'label_smoothing': 0.1})
  points = [
    {'g_optimizer.learning_rate': rate, 'd_optimizer.adam.b1': b1}
    for rate, b1 in ((1e-3, 0.5), (1e-2, 0.1), (2, 0.3), (1e-4, 0.9), (3, 0.4))
  ]
  expected = [config_lib.with_values(config, point) for point in points]
  assert list(config_lib.with_each(config, points)) == expected
  points[2]['d_optimizer.adam.b1'] = 1.5
  points[4]['d_optimizer.adam.b1'] = 2.5  # the greatest, not reached
  found = config_lib.with_each(config, points)
  assert [next(found), next(found)] == expected[:2]
  with pytest.raises(ValueError, match=r'd_optimizer.adam.b1=1.5: must be'):
    next(found)
