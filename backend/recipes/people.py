"""Users of an image: the script that makes them in a build, and the public keys that let them in.

The script needs nothing but `sh`, `grep` and `sed`, so that every base will do.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from backend.errors import ConfigError, Refused
from backend.recipes.model import User

FOLDER = "berth"
"""Of the context: what is staged for the Dockerfile to copy."""
SCRIPT = f"{FOLDER}/users.sh"
KEYS = f"{FOLDER}/authorized_keys"
BASHRC = "bashrc"
"""Beside a Dockerfile: becomes each user's .bashrc."""
_LIMIT = 1 << 20
_PUBLIC = re.compile(
    r"(?:^|\s)(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-\S+|sk-(?:ssh|ecdsa)-\S+)\s+[A-Za-z0-9+/=]{16,}"
)
_FUNCTIONS = r"""#!/bin/sh
# Made by berth of `users` in berth.yaml. Runs as root while the image is built: sh berth/users.sh
set -eu
here=$(cd "$(dirname "$0")" && pwd)
touch /etc/passwd /etc/group

group() { # NAME GID
  if grep -q "^$1:" /etc/group; then
    return
  fi
  gid=$2
  if [ -z "$gid" ]; then
    gid=900
    while grep -q "^[^:]*:[^:]*:$gid:" /etc/group; do gid=$((gid + 1)); done
  fi
  echo "$1:x:$gid:" >> /etc/group
}

member() { # USER GROUP
  case ",$(sed -n "s/^$2:[^:]*:[^:]*://p" /etc/group)," in
    *,"$1",*) ;;
    *) sed -i "s/^\($2:[^:]*:[^:]*:.*[^:]\)\$/\1,$1/; s/^\($2:[^:]*:[^:]*:\)\$/\1$1/" /etc/group ;;
  esac
}

user() { # NAME UID GID SHELL
  other=$(sed -n "s/^\([^:]*\):[^:]*:$2:.*/\1/p" /etc/passwd | head -n 1)
  if [ -n "$other" ] && [ "$other" != "$1" ]; then
    echo "users.sh: $1 takes the place of $other, who had the number $2" >&2
    sed -i "/^$other:/d" /etc/passwd
    if [ -f /etc/shadow ]; then sed -i "/^$other:/d" /etc/shadow; fi
  fi
  if grep -q "^$1:" /etc/passwd && ! grep -q "^$1:[^:]*:$2:" /etc/passwd; then
    echo "users.sh: $1 is in the base already, with another number than $2" >&2
    exit 1
  fi
  shell=$4
  [ -x "$shell" ] || shell=/bin/sh
  grep -q "^[^:]*:[^:]*:$3:" /etc/group || echo "$1:x:$3:" >> /etc/group
  sed -i "/^$1:/d" /etc/passwd
  echo "$1:x:$2:$3::/home/$1:$shell" >> /etc/passwd
  if [ -f /etc/shadow ] && ! grep -q "^$1:" /etc/shadow; then
    echo "$1:*:19000:0:99999:7:::" >> /etc/shadow
  fi
  mkdir -p "/home/$1"
  if [ -d /etc/skel ]; then cp -R /etc/skel/. "/home/$1/"; fi
  if [ -f "$here/bashrc" ]; then cp "$here/bashrc" "/home/$1/.bashrc"; fi
  if [ -f "$here/authorized_keys" ]; then
    mkdir -p "/home/$1/.ssh"
    cp "$here/authorized_keys" "/home/$1/.ssh/authorized_keys"
    chmod 700 "/home/$1/.ssh"
    chmod 600 "/home/$1/.ssh/authorized_keys"
  fi
  chown -R "$2:$3" "/home/$1"
  chmod 755 "/home/$1"
}

sudoer() { # NAME
  if [ -d /etc/sudoers.d ]; then
    echo "$1 ALL=(ALL) NOPASSWD:ALL" > "/etc/sudoers.d/berth-$1"
    chmod 440 "/etc/sudoers.d/berth-$1"
  else
    echo "users.sh: there is no sudo in the image; install it before this runs" >&2
  fi
}
"""


def script(users: Sequence[User]) -> str:
    """What makes these users."""
    lines = [_FUNCTIONS]
    for user in users:
        gid = user.uid if user.gid is None else user.gid
        lines.append(shlex.join(["user", user.name, str(user.uid), str(gid), user.shell]))
        for each in user.groups:
            name, _, number = each.partition(":")
            lines.append(shlex.join(["group", name, number]))
            lines.append(shlex.join(["member", user.name, name]))
        if user.sudo:
            lines.append(shlex.join(["sudoer", user.name]))
    return "\n".join(lines) + "\n"


def public_keys(path: Path) -> bytes:
    """The file's content. Raises `ConfigError` for no list of public keys, `Refused` for a private one."""
    hint = "Put public keys there, one per line (cat ~/.ssh/id_ed25519.pub), or name another in berth.yaml."
    try:
        with path.open("rb") as file:
            data = file.read(_LIMIT)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file: nobody could log in.", hint=hint) from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}.") from None
    if b"PRIVATE KEY" in data:
        raise Refused(
            f"{path} is a private key.", hint="`authorized_keys` takes public ones, from the .pub file."
        )
    text = data.decode("utf-8", "replace").replace("\r\n", "\n")
    if not any(_PUBLIC.search(line) for line in text.splitlines() if not line.lstrip().startswith("#")):
        raise ConfigError(f"{path}: holds no public key: nobody could log in.", hint=hint)
    return text.encode()
