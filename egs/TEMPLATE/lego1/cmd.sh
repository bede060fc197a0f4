# shellcheck shell=bash
# Sourced by lego.sh: which launcher runs the jobs. Choose with CMD_BACKEND=local|slurm, or put a
# cmd.sh of your own into the recipe's folder. A launcher is called as
#     <launcher> [--gpu N] [--num_threads N] [--num_nodes N] [JOB=1:N] <log> <command> ...
CMD_BACKEND="${CMD_BACKEND:-local}"
case "${CMD_BACKEND}" in
    local)
        # The names end in .pl because espnet2.bin.launch knows launchers by the names run.pl and
        # slurm.pl (it puts srun before the command of the latter).
        export train_cmd="${utils}/run.pl"
        export cuda_cmd="${utils}/run.pl"
        export decode_cmd="${utils}/run.pl"
        ;;
    slurm)
        # SLURM_OPTIONS goes to sbatch as it is: "--partition=gpu --time=24:00:00 --account=me".
        export train_cmd="${utils}/slurm.pl"
        export cuda_cmd="${utils}/slurm.pl"
        export decode_cmd="${utils}/slurm.pl"
        ;;
    *)
        echo "cmd.sh: CMD_BACKEND is '${CMD_BACKEND}': give local or slurm" >&2
        exit 2
        ;;
esac
