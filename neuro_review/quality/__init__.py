"""What the labels say of the models: how many outputs are bad, what one costs, how long customers wait.

All of it is read from the counts that `rollups` keeps, so that a year of five million labels is there at once. Every
verb takes a session and who asks, needs an owner of the workflow, and returns plain rows; `quality --json` prints the
rows that the charts draw.

    periods     a window of days, cut into days, ISO weeks or not at all
    estimates   from counts to a rate with its interval, and whether that is enough to show
    reading     the counts of a window, added up
    table       by model, day, week, reviewer or reason
    marks       when something changed: a model, a prompt version, the rubric, what counts as bad
    models      side by side: which differences are real, which model the evidence favours
"""
