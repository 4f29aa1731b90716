"""Eval sets: labels frozen into numbered versions of cases, each with where it came from.

* choosing   which labels: by filter, sampled with a seed, near-duplicates and what has no prompt left out and counted
* known      whether a text says nearly the same as one of many, told without comparing it with each
* making     a draft out of labels, in short transactions; its freezing, after which nothing of it changes
* rows       what there is: sets, versions, cases, what differs between two versions
"""
