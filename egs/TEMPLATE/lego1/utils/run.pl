#!/usr/bin/env python3
# Python, whatever its name says: espnet2.bin.launch knows launchers by Kaldi's names.
from launcher import end, main_local

end(main_local)
