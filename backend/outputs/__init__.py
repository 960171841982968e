"""Images for clusters: image.sqsh in enroot's form, env.toml beside it, and environment files (EDF).

remote   `ask(link, {...})`: one question to `agent output` on a host
sqsh     from an engine's image to a squashfs file on its host, or here
toml     env.toml and ~/.edf/NAME.toml: what is there already stays as it is written
edf      an environment with all it stands on, merged, and where each value came from
"""
