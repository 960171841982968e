"""The wall: tmux panes of all hosts, live side by side."""
