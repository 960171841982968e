"""Recipes: folders that yield images, how they stand on each other, and what a builder is given.

model      Recipe, Graph, Rendered, Problem: what the other parts work with
discover   `load(config, *, roots=(), overrides=Overrides()) -> Graph`, async: all recipes of the roots
staging    `staging(reason="") -> async context manager of a Path`: where renders go, gone afterwards
render     `render(recipe, *, graph, parents={}, base_override="", owner=None, git="fetch", into, say) ->
           Rendered`, async. `parents`: what was rendered before, by name; `owner`: uid and gid that rp
           projects and workspaces are made for (of the login on the host; None: ours); `git`: "fetch", or
           "cached" for the state that was fetched last; `say`: hears lines about what takes long
"""
