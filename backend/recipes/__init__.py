"""Recipes: folders that yield images, how they stand on each other, and what a builder is given.

model       Recipe, Graph, Rendered, Problem: what the other parts work with
discover    load(): all recipes of the roots as a Graph
render      render(): a recipe as Dockerfile and context; look(): what that would be, nothing copied
staging     staging(): a folder for rendered recipes, gone afterwards
new         create(): recipes to begin with, out of templates/
show        lists and trees for people

scan        folders that are recipes          draft       one recipe's own files
dockerfile  text to instructions              variables   $name in them
stages      stages and the images they need   links       whose images those are
graph       order, chains, parents            naming      how images are called
berthfile   berth.yaml                        hooks       the Dockerfile of a workspace
parts       what each kind gives a builder    references  names of local images in a Dockerfile
folders     what is part of the context       context     the copy of it, and its digest
ignore      .dockerignore                     gitcache    projects of git
people      users of an image                 origins     where each value came from
"""
