"""Images as files for clusters, and the environment files beside them: `agent output`.

One JSON object on the first line of input says what to do; the end of input ends it.

    -> {"do": "squash", "image", "into", "compression", "engine", "socket"}
    <- {"progress": {"bytes", "total", "files"}}          now and then
    <- {"done": {"path", "size", "files", "id", "config"}}
    -> {"do": "read", "path"} | {"do": "edf", "name", "folder"}
    <- {"done": {"path", "text"}}                 `text` is null where there is no such file
    -> {"do": "write", "path", "text", "was"}     `was`: its text as it was read; another one now is refused
    <- {"done": {"path"}}
    <- {"failed": {"message", "hint"}}

layout   the files that enroot reads in an image's root: pure
squash   from an engine's image to a squashfs file, checked by reading it back
texts    small files of the user's
"""
