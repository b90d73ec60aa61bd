#!/bin/bash
# A sweep as an array of Slurm jobs, with no scheduler but Slurm: each job computes its share of the blocks,
# and a last one joins what they wrote. Run it as `./array.sh` in a folder that all nodes see; it submits
# itself. Run again after jobs that failed, it computes what is missing.
#SBATCH --job-name=gru-sweep
#SBATCH --array=1-16
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=02:00:00
#SBATCH --output=%x-%A-%a.log
#SBATCH --signal=B:TERM@120
# Two minutes before its time is over a job finishes the block in hand and ends; it is run again by hand.

set -eu
out=${1:-hopf.h5}

if [ -z "${SLURM_ARRAY_TASK_ID:-}" ]; then
    array=$(sbatch --parsable "$0" "$out")
    exec sbatch --job-name=gru-sweep-pack --dependency="afterok:${array%%;*}" --kill-on-invalid-dep=yes \
        --cpus-per-task=1 --mem=8G --time=01:00:00 --wrap "gru-sweep pack $(printf %q "$out")"
fi

# `exec`, so that Slurm's signal reaches the sweep.
exec gru-sweep run hopf --axis alpha=0:3.14159265:4096 --axis beta=1:3:4096 --out "$out" \
    --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
