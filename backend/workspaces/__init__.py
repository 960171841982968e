"""Workspaces: a folder of code with `container/`, its run-data, its container, and services in that.

folders     run-data and its folders, here and on hosts
making      the context of a workspace
running     its container: up, its pre-run hook awaited
services    which services a context has: declared by its recipe, else the usual ones
inside      services in a container: found, started, watched, ended
opening     a service on a port of this machine, for as long as one wants
listing     workspaces, and where they run
"""
