"""Eval runs: candidates tried on the cases of a frozen version, scored, compared, and let through the gate or not.

* asking     a run is asked for: which version, candidates, scorers, how much it may cost; cancelled; opened again
* rows       runs as they are, and how far each is
* pacing     how many calls a provider gets at a time: fewer when it says so, slowly more again
* storing    what is left to do, and the short transactions in which answers are stored, each once
* run        the calls themselves, in one process at a time, until all is stored
* judging    what a judge is asked, and what its answer says
* judges     how far a judge agrees with the reviewers, and whether it is fit
* outcomes   good, bad or missing: what reviewers, a fit judge and code say of each answer
* comparing  two candidates on the same cases
* gates      may the candidate take the baseline's place: pass, block or inconclusive
* reviewing  answers of candidates before reviewers, who are not told whose they are
* junit      what the gate says, for a CI server
"""
