"""Brunel (2000), the network of examples/brunel.nsm, in NEST: prints one JSON line with the seconds of building and running."""
import json
import sys
import time

import nest

threads, ms = int(sys.argv[1]), float(sys.argv[2])
nest.set_verbosity("M_ERROR")
nest.ResetKernel()
nest.resolution = 0.1
nest.local_num_threads = threads
t0 = time.perf_counter()
cells = nest.Create("iaf_psc_delta", 12500, dict(C_m=1.0, tau_m=20.0, E_L=0.0, V_th=20.0, V_reset=10.0, t_ref=2.0, V_m=0.0))
e, i = cells[:10000], cells[10000:]
drive = nest.Create("poisson_generator", params=dict(rate=20000.0))
nest.Connect(drive, cells, "all_to_all", dict(weight=0.1, delay=0.1))
rule = dict(rule="fixed_indegree", allow_autapses=False, allow_multapses=False)
nest.Connect(e, cells, dict(rule, indegree=1000), dict(weight=0.1, delay=1.5))
nest.Connect(i, cells, dict(rule, indegree=250), dict(weight=-0.5, delay=1.5))
recorder = nest.Create("spike_recorder")
nest.Connect(e, recorder)
nest.Prepare()
t1 = time.perf_counter()
nest.Run(ms)
t2 = time.perf_counter()
nest.Cleanup()
print(json.dumps(dict(build_s=t1 - t0, run_s=t2 - t1, rate_hz=recorder.n_events / 10000 / ms * 1000)))
