  ;; The policy, given the host's functions.
  (core instance $policy (instantiate $policy (with "host" (instance $host))))
  ;; include lift
