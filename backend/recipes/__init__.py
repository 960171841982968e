"""Recipes: folders that yield images, how they stand on each other, and what a builder is given.

model      Recipe, Graph, Rendered, Problem: what the other parts work with
"""
