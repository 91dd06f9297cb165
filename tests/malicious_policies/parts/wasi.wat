  ;; The policy, given the host's functions and those of WASI.
  (core instance $policy (instantiate $policy (with "host" (instance $host)) (with "wasi" (instance $wasi))))
  ;; include lift
