"""Builds: images made of recipes on one or many hosts, parents first, only what changed.

model      Build, Step, BuildState: what lists and screens show; `ACTIVE`, `Request`
records    all builds of this machine's user: `listed()`, `find(id)`, `log_path(id)`, `listen(callback)`
progress   what builders print -> steps and lines, pure
dockerlines  which line of a Dockerfile a step is
fresh      whether an image is what its recipe would give, and the reason why not
stage      the build context on its way to a host
remote     one build in the agent there: waited for, followed, cancelled, found again
order      `Order`: what is to be built where, in which order, side by side
"""
