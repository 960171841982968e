"""The dashboard for one tab of a browser: what `berth serve` starts, with pipes to it and no terminal."""
