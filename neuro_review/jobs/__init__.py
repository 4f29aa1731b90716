"""Long work that somebody asks for on a screen: it shows how far it is, can be left and found again, and survives.

* asking    to ask for an import or an export
* rows      the jobs of a person, and how far each is
* leases    who works on a job: taken by compare-and-set, kept while that process lives, taken anew when it died
* files     what a job keeps on this machine, and for how long
* columns   an uploaded file before its import: its columns, what they seem to be, what would come in
* work      what the two kinds of job do
* run       the process of one job: python -m neuro_review.jobs.run
* keeper    starts those processes, one at a time
"""
