#!/usr/bin/env python3
# Python, whatever its name says: espnet2.bin.launch knows launchers by Kaldi's names, and puts srun
# before the command of this one.
from launcher import end, main_slurm

end(main_slurm)
