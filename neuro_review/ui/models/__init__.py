"""The model in use on screen: what it is and why, what is on trial beside it, and what may take its place.

in_use     what applications are told to call, a candidate on trial, and every change
changing   the form for another one
saying     models, parameters and grounds in words
"""
