"""One file per thing that is watched. Each reads the kernel or a driver and gives plain data."""
