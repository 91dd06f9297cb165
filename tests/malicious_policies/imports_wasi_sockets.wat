;; Imports the sockets of WASI.
;; Expected: load error with their name.
(component
  (import "wasi:sockets/tcp@0.2.0" (instance
    (export "tcp-socket" (type (sub resource)))
  ))
)
