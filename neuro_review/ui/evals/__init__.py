"""Eval sets on screen; all that models and users wrote stays text.

* sets       what there is, and one version with its cases and where each came from
* making     the form that makes a version out of labels
"""
