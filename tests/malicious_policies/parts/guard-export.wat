  ;; Instantiates the guard with the functions of the host.
  (core instance $guard (instantiate $guard (with "host" (instance $host))))
  ;; include guard-lift
