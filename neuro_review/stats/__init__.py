"""Numbers in, numbers out: the statistics of the house, each a plain function that says what it rests on.

beta         the beta distribution, by its continued fraction
proportions  a share and its interval: Wilson, Jeffreys, Clopper–Pearson, and over strata that were sampled differently
agreement    how far two or more reviewers agree: raw, kappa, alpha, AC1
sequences    what may be looked at every day: the e-SR detector, confidence sequences
several      many comparisons at once: Holm, Benjamini–Hochberg; whether one rate is above another
paired       two models on the same items: Tango's interval, McNemar's test

Nothing here reads a clock, a database or a random number: the same numbers give the same answer.
"""
