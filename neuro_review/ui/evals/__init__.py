"""Eval sets and eval runs on screen; all that models and users wrote stays text.

* sets        what there is, and one version with its cases and where each came from
* making      the form that makes a version out of labels
* exporting   the cases of a version as a file of another tool
* runs        every run, and the form for another one: starting, of candidates
* one_run     one run: how far it is (states), what failed, what each candidate came to (figures)
* answers     the answers of one candidate, case by case (cases)
* beside      two candidates: their difference, the gate, and the cases on which they differ (flips)
* among       three or more candidates: each against the same one
* reviewing   answers put before the reviewers
* judges      how far each judge agrees with the reviewers
"""
