"""A working copy of git on this machine: where it stands, its branches, its pages on the web.

git    `Repository.at(folder)`: asks git itself, never a shell
links  pages of a commit, a branch, a file, a pull request to be: GitHub, GitLab, Gitea and Forgejo
"""
