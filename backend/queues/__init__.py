"""Queues of jobs, whoever runs them: one protocol, one file per engine.

base        QueueEngine, Submission, Detail: what every engine can do, and how a job is asked for
docker      the queue on a host without a server (backend/agent/queue), over its agent
slurm       the queue of a cluster, on its login node
choose      which engine a host has
once        jobs are handed over once, whatever becomes of the link
placement   where a job would start soonest
jobrows     what engines tell -> JobRow
clusterrows what a cluster's jobs do with their GPUs, seen on their nodes
"""
