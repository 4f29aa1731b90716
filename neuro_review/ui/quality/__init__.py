"""What the Quality page shows, part by part.

`asking`: which workflow, which days, cut into what. `figures`: what is read for that, kept until something changes.
`heads`: the answer in ten seconds. `drawing`: the charts, and what is behind a point of them. `numbers`: everything as
a table, on the screen and as a file.
"""
