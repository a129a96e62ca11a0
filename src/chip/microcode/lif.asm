; Current-based leaky integrate-and-fire, operation by operation the fixed-point model of lava-nc 0.10.0:
; ku = 4095 - du, kv = 4096 - dv, th = vth << 6, bias = bias_mant shifted by bias_exp
.program lif
.param ku
.param kv
.param th
.state u i24
.state v i24
.state bias i24
.acc dend
.local a
  RDC a, dend
  RMW u
  RMW v
  RMW bias
  MUL_SHR u, u, ku, 12
  SHL a, a, 6
  ADD u, u, a
  X.WRAP24 u
  MUL_SHR v, v, kv, 12
  ADD v, v, u
  ADD v, v, bias
  X.CLIP24 v
  LT th, v
  SKP_B 2
  SPIKE 1
  MOV v, 0
