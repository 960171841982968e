"""The profiles that berth has without a sync.yaml: what people who come from container-juggle are used to.

They take the files that its push, pull and pushremove take, told as rules: at most 1 MB, nothing that is
newer at the target, links left out. A file is taken where any rule takes it.
"""

from __future__ import annotations

from msgspec.structs import replace

from backend.config.schema import Direction, Folders, SyncProfile, SyncRule

_MOST = 1024**2
_HIDDEN = "- **/.*"
_CODE = ("+ *.py", "+ *.ipynb", "+ */", "- *")
_TEXTS = ("+ */", "+ *.txt", "+ *.bash", "+ *.sh", "+ *.csv", "+ *.json", "+ *.md", "- *")
_RESULTS = (
    "+ *.py",
    "- **/torch_compile_debug/",
    _HIDDEN,
    "- **/res_cache/",
    "- **/.ipynb_checkpoints/",
    "- **/__pycache__",
    "- SAVED*/",
    "- hwfail/",
    "- fail/",
    "- rerun/",
    "- uncategorized/",
    "- success/",
    "+ *.ipynb",
    "+ */",
    "+ *.png",
)
_JSON = ("+ *.json", "- *")


def _rule(
    folder: str, *filters: str, direction: Direction = "push", delete: bool = False, top: bool = True
) -> SyncRule:
    """`top=False`: what lies in the folder itself is never deleted, as where a shell expands `folder/*`."""
    return SyncRule(
        source=folder,
        target=folder,
        direction=direction,
        filter=filters,
        max_size=_MOST,
        delete=delete,
        keep=() if top else ("/*",),
        links="skip",
        secret=folder == "shared/secret",
    )


PROFILES: tuple[SyncProfile, ...] = (
    SyncProfile(
        name="push",
        comment="mirror/ and shared/ to the host",
        built_in=True,
        rules=(
            _rule("mirror", _HIDDEN),
            _rule("shared", _HIDDEN),
            _rule("shared", *_JSON),
            _rule("shared/notebook", _HIDDEN, "- **/.ipynb_checkpoints/", *_CODE),
            _rule("shared/script", _HIDDEN, "- **/.ipynb_checkpoints/", *_CODE),
            _rule("shared/tests", _HIDDEN, "- SAVED", "+ *.py", *_TEXTS),
            _rule("shared/bin", _HIDDEN),
            _rule("shared/secret"),
            _rule("shared/pythonenv", "- **/__pycache__", _HIDDEN),
        ),
    ),
    SyncProfile(
        name="pull",
        comment="what was written on the host, back from mirror/ and shared/",
        built_in=True,
        rules=(
            _rule("mirror", "- /context/", direction="pull"),
            _rule("shared", *_JSON, direction="pull"),
            _rule("shared/bin", _HIDDEN, direction="pull"),
            _rule("shared/notebook", *_RESULTS, "- *", direction="pull"),
            _rule("shared/script", *_RESULTS, "- *", direction="pull"),
            _rule("shared/tests", *_RESULTS, *_TEXTS, direction="pull"),
            _rule("shared/pythonenv", "- **/__pycache__", _HIDDEN, direction="pull"),
        ),
    ),
    SyncProfile(
        name="pushremove",
        comment="the same as push; what is gone here goes there too",
        built_in=True,
        rules=(
            _rule("mirror", _HIDDEN, "- **/.git", delete=True, top=False),
            _rule("shared", *_JSON, delete=True),
            _rule("shared", _HIDDEN, "- **/.git", delete=True, top=False),
            _rule("shared/notebook", _HIDDEN, "- **/.git", *_CODE, delete=True),
            _rule("shared/script", _HIDDEN, "- **/.git", *_CODE, delete=True),
            _rule("shared/tests", _HIDDEN, "- SAVED", "+ *.py", *_TEXTS, delete=True),
            _rule("shared/bin", _HIDDEN, "- **/.git", delete=True),
            _rule("shared/secret", delete=True),
            _rule("shared/pythonenv", _HIDDEN, "- **/.git", delete=True),
        ),
    ),
)


def built_in(folders: Folders) -> tuple[SyncProfile, ...]:
    """Berth's own profiles, with the names that the settings give the folders."""
    names = {"mirror": folders.mirror, "shared": folders.shared}

    def renamed(rule: SyncRule) -> SyncRule:
        first, slash, rest = rule.source.partition("/")
        path = f"{names[first]}{slash}{rest}"
        return replace(rule, source=path, target=path)

    return tuple(replace(each, rules=tuple(map(renamed, each.rules))) for each in PROFILES)
