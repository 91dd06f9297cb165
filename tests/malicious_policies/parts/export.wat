  ;; Instantiates the policy with the functions of the host.
  (core instance $policy (instantiate $policy (with "host" (instance $host))))
  ;; include lift
