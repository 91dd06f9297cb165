  ;; Instantiates the policy with the functions of the host and of WASI.
  (core instance $policy (instantiate $policy (with "host" (instance $host)) (with "wasi" (instance $wasi))))
  ;; include lift
