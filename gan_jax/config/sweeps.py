"""Names of the options that a sweep varies."""

GRAMMAR = (
  "must be like 'g_optimizer.learning_rate=1e-4,1e-3', "
  "'penalties.r1.weight=logspace(-3,2,16)' (from 10^-3 to 10^2), also "
  "geomspace and linspace; several with ';', and 'a+b=...' for options that "
  'have the same value'
)


def swept_names(text: str) -> tuple[str, ...]:
  """Returns the dotted names of the options that a sweep varies.

  Args:
    text: 'option=values', several separated by ';'; 'a+b=values' gives two
      options the same value. '' is no sweep.

  Raises:
    ValueError: For text that does not name options, or names one twice.
  """
  names = []
  for part in filter(None, (p.strip() for p in text.split(';'))):
    left, equals, _ = part.replace(' ', '').partition('=')
    if not equals or not all(left.split('+')):
      raise ValueError(f'ensemble.sweep={part!r}: {GRAMMAR}')
    names += left.split('+')
  twice = sorted({name for name in names if names.count(name) > 1})
  if twice:
    raise ValueError(f'ensemble.sweep names {", ".join(twice)} twice')
  return tuple(names)
