"""Projects: a folder with code, how its image is made, and what its jobs need.

model      Project, Defaults, Ready: what a project tells, and what it is on a host
rp         projects of rp: docker/, .rp/info.json, .rp/paths.json; made by `berth init`
rpargs     rp's own command lines -> ours
compose    the Dockerfile of an rp project, out of its parts
bring      the project on a host: synchronised, its image built, ready for jobs
"""

from __future__ import annotations

from backend.projects.model import Defaults, Project, Ready

__all__ = ["Defaults", "Project", "Ready"]
