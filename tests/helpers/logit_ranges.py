"""Losses that are not finite for every logit, for the tests of all losses."""

# These contain an exponential of a logit, and are finite up to
# losses.SAFE_LOGIT; name them without '_non_saturating'.
EXPONENTIAL = ('f_kl', 'f_reverse_kl', 'f_squared_hellinger')
# These square logits.
SQUARES = ('least_squares', 'ralsgan', 'feature_matching', 'f_pearson')
