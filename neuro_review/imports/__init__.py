"""Import: outputs and labels of the past, out of files and into a workflow, whole or with the reason why not.

* readers   a file, row by row, past every row that is broken
* arrays    the JSON array among the formats
* fields    which column is which field
* rows      a row as a submission, and as a review of the past
* names     names for rows that bring none
* batches   rows checked, salted and hashed, ready to be stored
* rejects   the rows that were set aside
* storing   batches into the database, in the order of the file
* run       one import, from its file to its tally
* watch     a folder that files arrive in
* traces    exports of tracing tools as rows
"""
