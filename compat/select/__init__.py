"""What an image's kernel holds: the choice of system calls, and the link that leaves out everything else."""
