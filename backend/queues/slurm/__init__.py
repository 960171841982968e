"""A cluster's queue, driven on its login node with Slurm's own programs.

text     what squeue, sacct and scontrol print of jobs -> rows. Pure
nodes    what sinfo prints -> nodes and partitions. Pure
amounts  how Slurm writes records, times and GPUs. Pure
meta     what berth notes in a job's comment
script   a Submission -> sbatch's options and script. Pure; job.sh is the part that never changes
client   runs the programs; Slurm's words -> our errors
asking   what can be asked of a cluster
engine   SlurmQueue: the verbs
follow   a job's output and states until its end
terminal a terminal in a job's allocation
health   berth doctor's steps
watch    one poll of a cluster, shared by all who look
"""
